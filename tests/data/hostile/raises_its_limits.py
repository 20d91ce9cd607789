# Raises every limit to infinity, or as far as allowed, and then asks for 10 GB.
# verdict: memory limit
# test: "3\n", "9\n"

import resource

for name in dir(resource):
    if name.startswith("RLIMIT_"):
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        for limits in ((resource.RLIM_INFINITY,) * 2, (hard, hard)):
            try:
                resource.setrlimit(which, limits)
            except (ValueError, OSError):
                continue
x = bytearray(10**10)
print(int(input()) ** 2)
