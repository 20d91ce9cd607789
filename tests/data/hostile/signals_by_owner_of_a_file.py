# Makes another process the owner of a pipe, so that the kernel sends that process SIGKILL when data arrives.
# verdict: correct
# test: f"{canary}\n", "contained\n"

import fcntl
import os
import signal
import socket
import struct
import time

F_SETSIG = 10
F_SETOWN_EX = 15
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902
done = []


def attempt(name, file, *arguments):
    try:
        file(*arguments)
        done.append(name)
    except OSError:
        pass


for pid in (os.getppid(), int(input()), 1, 2, -os.getppid()):
    reading, writing = os.pipe()
    left, right = socket.socketpair()
    for end, other in ((reading, writing), (left.fileno(), right.fileno())):
        attempt(("own", pid), fcntl.fcntl, end, fcntl.F_SETOWN, pid)
        attempt(("own_ex", pid), fcntl.fcntl, end, F_SETOWN_EX, struct.pack("ii", 1, abs(pid)))
        attempt(("ioctl", pid), fcntl.ioctl, end, FIOSETOWN, struct.pack("i", pid))
        attempt(("ioctl socket", pid), fcntl.ioctl, end, SIOCSPGRP, struct.pack("i", pid))
        try:
            fcntl.fcntl(end, F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(end, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        except OSError:
            pass
        os.write(other, b"x")
        time.sleep(0.01)
print(*done or ["contained"])
