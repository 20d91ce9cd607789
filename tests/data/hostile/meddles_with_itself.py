# Changes its own priority, cores and name, which it may.
# verdict: correct
# test: "3\n", "9\n"
# test: "4\n", "16\n"

import ctypes
import os

attempts = [
    lambda: os.nice(5),
    lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    lambda: os.setpriority(os.PRIO_PROCESS, 0, 10),
    lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
    lambda: ctypes.CDLL(None).prctl(15, b"python", 0, 0, 0),
]
for attempt in attempts:
    try:
        attempt()
    except OSError:
        pass
print(int(input()) ** 2)
