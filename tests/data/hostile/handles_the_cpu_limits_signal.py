# Catches SIGXCPU, raises its CPU limits as far as allowed, and continues.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import resource
import signal

signal.signal(signal.SIGXCPU, lambda number, frame: None)
hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
for limit in (resource.RLIM_INFINITY, hard):
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    except (ValueError, OSError):
        pass
print(1, flush=True)
while True:
    pass
