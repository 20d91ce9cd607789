# Tries set-user-id programs, capabilities, the no-new-privileges flag, and its own system call filters.
# verdict: correct
# test: "3\n", "9 contained\n"

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
done = []
if libc.prctl(39, 0, 0, 0, 0) != 1:  # PR_GET_NO_NEW_PRIVS
    done.append("new privileges")
if libc.prctl(38, 0, 0, 0, 0) != -1:  # PR_SET_NO_NEW_PRIVS
    done.append("privileges again")
if libc.prctl(22, 0, 0, 0, 0) != -1:  # PR_SET_SECCOMP: none
    done.append("no filter")
if libc.prctl(21, 0, 0, 0, 0) not in (-1, 2):  # PR_GET_SECCOMP
    done.append("unfiltered")
for capability in range(41):
    if libc.prctl(47, 2, capability, 0, 0) == 0:  # PR_CAP_AMBIENT, raise
        done.append(f"capability {capability}")
for ask in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.seteuid(0)):
    before = os.getresuid()
    try:
        ask()
        if os.getresuid() != before:
            done.append("root")
    except OSError:
        pass
print(int(input()) ** 2, *done or ["contained"])
