# Tries to create processes without Python and the C library: fork, vfork, clone, clone3.
# verdict: correct
# test: "3\n", "9 contained\n"

import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
calls = {
    "x86_64": {"fork": (57,), "clone": (56, 17, 0, 0, 0, 0), "clone files": (56, 17 | 0x400, 0, 0, 0, 0)},
    "aarch64": {"clone": (220, 17, 0, 0, 0, 0), "clone files": (220, 17 | 0x400, 0, 0, 0, 0)},
}.get(platform.machine(), {})
clone_args = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
done = []
parent = os.getpid()
for name, arguments in calls.items():
    if libc.syscall(*arguments) != -1:
        done.append(name)
    if os.getpid() != parent:
        os._exit(0)
if libc.syscall(435, ctypes.byref(clone_args), ctypes.sizeof(clone_args)) != -1:
    done.append("clone3")
    if os.getpid() != parent:
        os._exit(0)
print(int(input()) ** 2, *done or ["contained"])
