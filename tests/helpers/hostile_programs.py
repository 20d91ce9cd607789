"""Reads the hostile and awkward programs of tests/data/hostile, and puts in their way what they must not touch.

A file is a header and, after the first empty line, the program:

    # What it tries, in a sentence.
    # verdict: correct
    # test: "3\\n", "9\\n"

    print(int(input()) ** 2)

verdict   `correct`, or the reason; where it depends on the layers or the kernel, several with ` | ` between them
test      an input and the expected output; for a function a list of arguments and the expected value. A line a test
function  the function that is called; without it the program reads standard input
limits    what the judge is made with where that is not `timeout=1, memory_mb=1024`
program   the program, where it cannot stand in a file as it is; `text` is what stands there

What follows `test`, `limits` and `program` is Python; a test may use the names that `Bait.names` has.
"""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "data" / "hostile"
LIMITS = {"timeout": 1.0, "memory_mb": 1024}
MARK = "left_by_a_hostile_program"  # what they call the files they want to leave somewhere
SECRET = "swordfish"


@dataclass(frozen=True)
class Hostile:
    """A program with its expected verdicts; `tests` are its header's, still as text."""

    name: str
    source: str
    verdicts: tuple[str, ...]
    function: str | None
    limits: dict[str, float]
    tests: tuple[str, ...]

    def problem(self, names: dict[str, Any]) -> dict[str, Any]:
        """Its tests in TACO's form."""
        pairs = [eval(test, dict(names)) for test in self.tests]
        inputs, outputs = [list(part) for part in zip(*pairs, strict=True)]
        return {"inputs": inputs, "outputs": outputs} | ({"fn_name": self.function} if self.function else {})

    def verdict_is_expected(self, reason: str) -> bool:
        """Whether a reason, "" where it is correct, is what the header says."""
        return (reason or "correct") in self.verdicts


def read(path: Path) -> Hostile:
    """One file. Raises ValueError when its header is not as above."""
    header, _, program = path.read_text().partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in header.splitlines()[1:]:
        name, colon, value = line.removeprefix("# ").partition(": ")
        if not (line.startswith("# ") and colon and name in ("verdict", "test", "function", "limits", "program")):
            raise ValueError(f"{path}: {line!r} is no line of a header")
        fields.setdefault(name, []).append(value)
    if "program" in fields:
        program = eval(fields["program"][0], {"text": program})
    limits = LIMITS | eval(f"dict({fields.get('limits', [''])[0]})")
    verdicts = tuple(fields["verdict"][0].split(" | "))
    return Hostile(path.stem, program, verdicts, fields.get("function", [None])[0], limits, tuple(fields["test"]))


def read_all() -> list[Hostile]:
    """Every file, by name."""
    return [read(path) for path in sorted(FOLDER.glob("*.py"))]


class Bait:
    """Somebody's home directory, servers on this machine and a process: all must stay as they are.

    folder: an empty one, to lay it out in.
    """

    def __init__(self, folder: Path):
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh" / "id_rsa").write_text(SECRET)
        (self.home / "secret.txt").write_text(SECRET)
        self.before, self.there = self._files(), left_behind()
        self.canary = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.local.bind(str(folder / "socket"))
        for each in (self.server, self.datagrams, self.local):
            each.setblocking(False)
        self.names = {
            "port": self.server.getsockname()[1],
            "udp_port": self.datagrams.getsockname()[1],
            "socket_path": str(folder / "socket"),
            "canary": self.canary.pid,
            "outside": str(self.home),
            "repository": str(ROOT),
        }

    def touched(self) -> list[str]:
        """What a program got at; empty is well."""
        found = []
        if self.canary.poll() is not None or state(self.canary.pid) not in "RS":
            found.append("the other process is not well")
        for name, wait in (
            ("TCP", self.server.accept),
            ("UDP", lambda: self.datagrams.recv(100)),
            ("Unix", lambda: self.local.recv(100)),
        ):
            with suppress(BlockingIOError):
                wait()
                found.append(f"somebody sent something to the {name} socket")
        if self._files() != self.before:
            found.append("the home directory has changed")
        now = left_behind()
        found += [f"{path} was written" for path in now - self.there]
        self.there = now  # so as to tell once
        return found

    def close(self) -> None:
        """Take it away."""
        for each in (self.server, self.datagrams, self.local):
            each.close()
        self.canary.kill()
        self.canary.communicate()

    def _files(self) -> dict[str, tuple]:
        status = {path: path.lstat() for path in (self.home, *self.home.rglob("*"))}
        return {str(path): (it.st_mtime_ns, it.st_ctime_ns, it.st_mode, it.st_size) for path, it in status.items()}


def left_behind() -> set[Path]:
    """Files of the programs' in the repository and in the folders anybody may write to."""
    places = [ROOT, ROOT / "lab", ROOT / "tests", *map(Path, ("/", "/tmp", "/var/tmp", "/dev/shm", "/run"))]
    return {path for place in places for path in place.glob(f"{MARK}*")}


def children(pid: int) -> set[int]:
    """The processes that a process has started, or taken over, and not yet waited for; empty if it is gone."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            found |= set(map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()))
    return found


def descendants(pid: int) -> set[int]:
    """The children, theirs, and so on."""
    found, new = set(), children(pid)
    while new:
        found |= new
        new = set().union(*map(children, new)) - found
    return found


def ended(pid: int) -> bool:
    """Whether a process runs no more: it is gone, or only waited for."""
    try:
        return state(pid) in "ZX"
    except OSError:
        return True


def state(pid: int) -> str:
    """A process's state as /proc has it: R, S, T, Z ... Raises OSError if it is gone."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
