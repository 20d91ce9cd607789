"""Reads the hostile and awkward programs of tests/data/hostile, and sets up the bait that they must not touch.

A file is a header and, after the first empty line, the program:

    # One sentence about what it tries.
    # verdict: correct
    # test: "3\\n", "9\\n"

    print(int(input()) ** 2)

verdict   `correct` or the reason; if it depends on the sandbox's layers or the kernel, alternatives with ` | ` between
test      an input and the expected output, or for a function its arguments and the expected value; one line per test
function  the function to call; without it the program reads standard input
limits    the judge's limits where they differ from `timeout=1, memory_mb=512`
program   an expression for a program that a file cannot hold; `text` is the rest of the file

The values of `test`, `limits` and `program` are Python; a test may use the names in `Bait.names`.
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
LIMITS = {"timeout": 1.0, "memory_mb": 512}
MARK = "left_by_a_hostile_program"  # the names of the files that they try to leave outside begin with it
SECRET = "swordfish"


@dataclass(frozen=True)
class Hostile:
    """A program with its expected verdicts; `tests` are the header's tests as text."""

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
        """Whether the header lists a verdict's reason, which is "" for a correct program."""
        return (reason or "correct") in self.verdicts


def read(path: Path) -> Hostile:
    """Reads one file. Raises ValueError for another header than described above."""
    header, _, program = path.read_text().partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in header.splitlines()[1:]:
        name, colon, value = line.removeprefix("# ").partition(": ")
        if not (line.startswith("# ") and colon and name in ("verdict", "test", "function", "limits", "program")):
            raise ValueError(f"{path}: {line!r} is not a header line")
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
    """A home directory, servers on this machine and a process, none of which a program may change or reach.

    It is set up in `folder`, which must be empty.
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
        """A sentence for each thing that a program reached or changed since the last call."""
        found = []
        if self.canary.poll() is not None or state(self.canary.pid) not in "RS":
            found.append("the other process was ended or stopped")
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
        self.there = now  # reports each file once
        return found

    def close(self) -> None:
        """Ends the process and closes the servers."""
        for each in (self.server, self.datagrams, self.local):
            each.close()
        self.canary.kill()
        self.canary.communicate()

    def _files(self) -> dict[str, tuple]:
        status = {path: path.lstat() for path in (self.home, *self.home.rglob("*"))}
        return {str(path): (it.st_mtime_ns, it.st_ctime_ns, it.st_mode, it.st_size) for path, it in status.items()}


def left_behind() -> set[Path]:
    """The files that programs left in the repository and in folders that anybody may write to."""
    places = [ROOT, ROOT / "lab", ROOT / "tests", *map(Path, ("/", "/tmp", "/var/tmp", "/dev/shm", "/run"))]
    return {path for place in places for path in place.glob(f"{MARK}*")}


def children(pid: int) -> set[int]:
    """The processes that a process has started or inherited and not yet waited for; none if it is gone."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            found |= set(map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()))
    return found


def descendants(pid: int) -> set[int]:
    """The children of a process, their children, and so on."""
    found, new = set(), children(pid)
    while new:
        found |= new
        new = set().union(*map(children, new)) - found
    return found


def ended(pid: int) -> bool:
    """Whether a process has ended: it is gone, or a zombie."""
    try:
        return state(pid) in "ZX"
    except OSError:
        return True


def state(pid: int) -> str:
    """A process's state in /proc: R, S, T, Z, ... Raises OSError if it is gone."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
