# Attaches to other processes as a debugger does, and reads and writes their memory.
# verdict: correct
# test: f"{canary}\n", "contained\n"

import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
readv, writev, getfd = {"x86_64": (310, 311, 438), "aarch64": (270, 271, 438)}.get(platform.machine(), (-1, -1, -1))
TRACEME, ATTACH, SEIZE = 0, 16, 0x4206


class Piece(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("length", ctypes.c_size_t))


buffer = ctypes.create_string_buffer(8)
here = Piece(ctypes.addressof(buffer), 8)
there = Piece(id(None), 8)
done = []
for pid in (os.getppid(), int(input()), 1):
    for name, request in (("attach", ATTACH), ("seize", SEIZE)):
        if libc.ptrace(request, pid, 0, 0) != -1:
            done.append((name, pid))
    for name, call in (("read", readv), ("write", writev)):
        if libc.syscall(call, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) != -1:
            done.append((name, pid))
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        continue
    if libc.syscall(getfd, descriptor, 1, 0) != -1:
        done.append(("descriptor", pid))
if libc.ptrace(TRACEME, 0, 0, 0) != -1:
    done.append("traced")
print(*done or ["contained"])
