# Tries to run other programs by every means that Python has.
# verdict: correct
# test: "3\n", "9 contained\n"

import multiprocessing
import os
import pty
import subprocess
import sys

python = [sys.executable, "-c", "pass"]


def system():
    if os.system("true") != 0:
        raise OSError


def pool():
    with multiprocessing.get_context("fork").Pool(1) as workers:
        workers.map(abs, [1])


def popen():
    with os.popen("echo done") as pipe:
        if pipe.read() != "done\n":
            raise OSError


ways = {
    "system": system,
    "popen": popen,
    "run": lambda: subprocess.run(python),
    "shell": lambda: subprocess.run("true", shell=True),
    "spawn": lambda: os.posix_spawn(sys.executable, python, {}),
    "spawnv": lambda: os.spawnv(os.P_WAIT, sys.executable, python),
    "process": multiprocessing.get_context("fork").Process(target=abs, args=(1,)).start,
    "spawned process": multiprocessing.get_context("spawn").Process(target=abs, args=(1,)).start,
    "pool": pool,
    "pty": pty.fork,
}
done = []
parent = os.getpid()
for name, way in ways.items():
    try:
        way()
        done.append(name)
    except OSError:
        pass
    if os.getpid() != parent:
        os._exit(0)
print(int(input()) ** 2, *done or ["contained"])
