# Sends signals by calls other than kill: to threads, with values, through process descriptors.
# verdict: correct
# test: f"{canary}\n", "contained\n"

import ctypes
import os
import platform
import signal

libc = ctypes.CDLL(None, use_errno=True)
numbers = {
    "x86_64": {"kill": 62, "tkill": 200, "tgkill": 234, "queue": 129, "queue thread": 297},
    "aarch64": {"kill": 129, "tkill": 130, "tgkill": 131, "queue": 138, "queue thread": 240},
}.get(platform.machine(), {})
info = ctypes.create_string_buffer(128)
ctypes.memmove(info, (ctypes.c_int * 3)(9, 0, -1), 12)  # si_code SI_QUEUE
done = []
for pid in (os.getppid(), int(input()), 1, 2):
    for name, call in numbers.items():
        arguments = (pid, pid, 9) if name == "tgkill" else (pid, pid, 9, info) if "thread" in name else (pid, 9, info)
        if libc.syscall(call, *arguments) != -1:
            done.append((name, pid))
    try:
        signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)
        done.append(("pidfd", pid))
    except OSError:
        pass
print(*done or ["contained"])
