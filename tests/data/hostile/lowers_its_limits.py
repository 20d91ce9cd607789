# Lowers its limits on files, threads and bytes to zero after the answer.
# verdict: correct
# test: "3\n", "9\n"

import resource

print(int(input()) ** 2)
for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_AS):
    resource.setrlimit(which, (0, 0))
