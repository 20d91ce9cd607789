# Tries to change the priority, cores and limits of other processes.
# verdict: correct
# test: f"{canary}\n", "contained\n"

import os
import resource

core = {min(os.sched_getaffinity(0))}
done = []
for pid in (os.getppid(), int(input()), 1, 2):
    ways = {
        "affinity": lambda pid=pid: os.sched_setaffinity(pid, core),
        "scheduler": lambda pid=pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        "priority": lambda pid=pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
        "limit": lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)),
        "files": lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)),
    }
    for name, way in ways.items():
        try:
            way()
            done.append((name, pid))
        except (OSError, ValueError):
            pass
try:
    os.setpriority(os.PRIO_USER, 0, 19)
    done.append("user")
except OSError:
    pass
print(*done or ["contained"])
