# Changes descriptors that others may share: blocking, appending, position, locks, buffer size.
# verdict: correct
# test: "3\n", "9" * 300_000
# test: "3\n", "9" * 300_000

import fcntl
import os
import sys

n = int(input()) ** 2
for fd in range(1024):
    for way in (
        lambda fd: os.set_blocking(fd, False),
        lambda fd: fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND),
        lambda fd: os.lseek(fd, 10, os.SEEK_SET),
        lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        lambda fd: fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096),
        lambda fd: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK),
    ):
        try:
            way(fd)
        except OSError:
            pass
os.set_blocking(1, True)
sys.stdout.write(str(n) * 300_000)
