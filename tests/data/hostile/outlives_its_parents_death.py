# Disables the signal at its parent's death, leaves the session if it can, and sleeps.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import ctypes
import os
import time

libc = ctypes.CDLL(None)
libc.prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
for leave in (os.setsid, lambda: os.setpgid(0, 0), lambda: os.setpgid(0, os.getppid())):
    try:
        leave()
    except OSError:
        pass
libc.prctl(15, b"hostile")  # the name of the process
time.sleep(10**6)
