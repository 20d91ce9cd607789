# Leaves messages for the next test in every possible place; no test may find one.
# verdict: correct
# test: "1\n", "1 found nothing\n"
# test: "2\n", "2 found nothing\n"
# test: "3\n", "3 found nothing\n"

import ctypes
import os
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
KEY, NAME, CREATE, EXCLUSIVE = 0x51574F52, "left_by_a_hostile_program", 0o1000, 0o2000
found = []
for folder in (".", "..", os.environ.get("HOME", "."), tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "/run"):
    path = os.path.join(folder, NAME)
    if os.path.exists(path) and path != f"./{NAME}" and not os.path.samefile(path, f"./{NAME}"):
        found.append(path)
    if folder == "." and os.path.exists(path):
        found.append(path)
    try:
        open(path, "w").close()
    except OSError:
        pass
for name, make in {
    "shared memory": lambda flags: libc.shmget(KEY, 4096, flags | 0o600),
    "messages": lambda flags: libc.msgget(KEY, flags | 0o600),
    "semaphores": lambda flags: libc.semget(KEY, 1, flags | 0o600),
    "queue": lambda flags: libc.mq_open(b"/left_by_a_hostile_program", 0o100 | 2, 0o600, None),
    "user's keys": lambda flags: libc.syscall(248, b"user", NAME.encode(), b"x", 1, -4),
}.items():
    if make(CREATE) != -1:
        found.append(name)
for name, open_it in {  # these may be made, in the program's own folder
    "shared file": lambda flags: libc.shm_open(b"/shared_by_a_hostile_program", flags | 2, 0o600),
    "named semaphore": lambda flags: libc.sem_open(b"/shared_by_a_hostile_program", flags, 0o600, 1) or -1,
}.items():
    if open_it(0) != -1:
        found.append(name)
    open_it(os.O_CREAT)
if "LEFT" in os.environ:
    found.append("environment")
os.environ["LEFT"] = "1"
libc.setenv(b"LEFT", b"1", 1)
try:
    os.setxattr(".", "user.left", b"1")
    found += ["attribute"] * (os.getxattr("..", "user.left") == b"1")
except OSError:
    pass
print(input(), "found", *found or ["nothing"])
