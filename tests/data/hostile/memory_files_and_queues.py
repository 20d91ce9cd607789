# Tries memory that outlives its process: System V, POSIX queues, files in memory, kernel keys.
# verdict: correct
# test: "3\n", "9 contained\n"

import ctypes
import os
from multiprocessing import shared_memory

libc = ctypes.CDLL(None, use_errno=True)
done = []
for name, made in {
    "shmget": libc.shmget(0x4C454654, 4096, 0o1600),
    "semget": libc.semget(0x4C454654, 1, 0o1600),
    "msgget": libc.msgget(0x4C454654, 0o1600),
    "mq_open": libc.mq_open(b"/left_by_a_hostile_program", 0o102, 0o600, None),
}.items():
    if made != -1:
        done.append(name)
for name, make in {
    "shared memory": lambda: shared_memory.SharedMemory("left_by_a_hostile_program", create=True, size=4096),
    "memory file": lambda: os.memfd_create("left_by_a_hostile_program"),
}.items():
    try:
        make()
        done.append(name)
    except OSError:
        pass
print(int(input()) ** 2, *done or ["contained"])
