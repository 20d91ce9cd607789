# Tries system calls that programs never need and attackers like.
# verdict: correct
# test: "3\n", "9 contained\n"

import ctypes
import errno
import platform

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.argtypes = [ctypes.c_long] * 7
calls = {
    "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "memfd_secret": (447, 447),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fanotify_init": (300, 262),
    "kcmp": (312, 272), "init_module": (175, 105), "delete_module": (176, 106), "kexec_load": (246, 104),
    "swapon": (167, 224), "acct": (163, 89), "syslog": (103, 116), "quotactl": (179, 60), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    "pivot_root": (155, 41), "process_vm_readv": (310, 270), "process_madvise": (440, 440), "adjtimex": (159, 171),
}  # fmt: skip
x86 = platform.machine() == "x86_64"
done = []
for name, numbers in calls.items():
    result = libc.syscall(numbers[not x86], 0, 0, 0, 0, 0, 0)
    if result != -1 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EACCES):
        done.append(name)
print(int(input()) ** 2, *done or ["contained"])
