# Tries mounts, namespaces, another root and another user, all of which change its view of the machine.
# verdict: correct
# test: "3\n", "9 contained\n"

import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
os.mkdir("root")
done = []
for name, result in {
    "unshare user": libc.unshare(0x10000000),
    "unshare mounts": libc.unshare(0x00020000),
    "unshare network": libc.unshare(0x40000000),
    "mount": libc.mount(b"none", b"root", b"tmpfs", 0, None),
    "bind": libc.mount(b"/", b"root", None, 4096, None),
    "remount": libc.mount(None, b"/", None, 4096 | 32, None),
    "unmount": libc.umount2(b"/proc", 2),
    "chroot": libc.chroot(b"root"),
    "name": libc.sethostname(b"hostile", 7),
}.items():
    if result != -1:
        done.append(name)
for name, change in {
    "user": lambda: os.setuid(12345),
    "group": lambda: os.setgid(12345),
    "groups": lambda: os.setgroups([]),
    "namespace": lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) and os.open("/nowhere", 0),
}.items():
    try:
        change()
        done.append(name)
    except OSError:
        pass
print(int(input()) ** 2, *done or ["contained"])
