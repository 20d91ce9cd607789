# Tries memory, disks, the kernel's log and other devices, and tries to create a device.
# verdict: correct
# test: "3\n", "9 contained\n"

import os
import stat

done = []
for name in "mem kmem port kmsg sda vda nvme0n1 fuse kvm net/tun ptmx tty console tty0 loop0 loop-control log".split():
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.close(os.open(f"/dev/{name}", flags | os.O_NONBLOCK))
            done.append(name)
        except OSError:
            pass
for kind in (stat.S_IFCHR, stat.S_IFBLK):
    try:
        os.mknod("device", kind | 0o666, os.makedev(1, 3))
        done.append("device")
    except OSError:
        pass
print(int(input()) ** 2, *done or ["contained"])
