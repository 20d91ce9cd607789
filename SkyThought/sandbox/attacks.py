"""Attacks that show whether the layers contain programs: more certain than asking the kernel what it supports."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

from SkyThought.sandbox.layers import Sandbox


def successful_attacks(sandbox: Sandbox, judge: int, parent: Path) -> list[str]:
    """What a contained child can do that a program must not be able to; see `attacks`."""
    result, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        sandbox.contain_program(os.getpid())
        possible = []
        for name, attack in attacks(judge, parent).items():
            try:
                attack()
                possible.append(name)
            except OSError:
                continue
        os.write(theirs, json.dumps(possible).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(result, "rb") as file:
        possible = json.loads(file.read())
    os.waitpid(pid, 0)
    return possible


def attacks(judge: int, parent: Path) -> dict[str, Callable[[], object]]:
    """What a program must not be able to do, each as a function that raises OSError if it fails.

    judge: the judge's process id; parent: the judge's folder, which holds a file `secret`.
    """
    return {
        "read the judge's files": (parent / "secret").read_bytes,
        "write outside of its folder": (parent / "secret").touch,
        "read /etc/passwd": Path("/etc/passwd").read_bytes,
        "open a socket": lambda: socket.socket().close(),
        "open a datagram socket": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "make datagram sockets": lambda: [end.close() for end in socket.socketpair(type=socket.SOCK_DGRAM)],
        "start a process": _fork_and_end,
        "signal the judge": lambda: _signal(judge),
        "signal the process above it": lambda: os.kill(os.getppid(), 0),
        "signal a group": lambda: os.kill(0, 0),
        "read another process's memory": lambda: Path(f"/proc/{os.getppid()}/mem").open("rb").close(),
        "read another process's environment": Path(f"/proc/{os.getppid()}/environ").read_bytes,
    }


def _signal(pid: int) -> None:
    if pid == os.getpid():
        raise OSError("in another namespace a judge with the number of this process cannot be named")
    os.kill(pid, 0)


def _fork_and_end() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
