# Makes the same system calls by their x32 numbers, which a filter by number misses.
# verdict: correct | runtime error: SIGSYS
# test: "3\n", "9 contained\n"

import ctypes
import os
import platform

done = []
if platform.machine() == "x86_64":
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()
    for name, arguments in {"fork": (57,), "socket": (41, 2, 1, 0), "kill": (62, 0, 0)}.items():
        if libc.syscall(0x40000000 | arguments[0], *arguments[1:]) != -1:
            done.append(name)
        if os.getpid() != parent:
            os._exit(0)
print(int(input()) ** 2, *done or ["contained"])
