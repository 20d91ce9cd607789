"""Runs one program on one test, or on a row of calls, in a child of a warm process.

The judge's side of it, and the trusted one: it keeps what was expected to itself, gives the child the input
through pipes, takes its output and its time, and says how it ended. `warm_process` forks and kills,
`child_process` runs the program. Linux only. The program is confined in its time, memory, output, file size,
environment and working folder, and everything it starts is ended with it; it is not kept from reading the
machine's files or using its network.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.settings import UserError
from SkyThought.running_program import GRACE_SECONDS, RunningProgram, remove_folder

WALL_FACTOR = 3  # wall seconds a CPU second of the limit: a program that sleeps or waits ends too
START_SECONDS = 120  # for the warm process to import what it imports, on a busy machine
STACK_KILOBYTES = 512 << 10  # main thread's stack, for deep recursion through C code (sort keys, lru_cache)


@dataclass(frozen=True)
class Execution:
    """How a program ended on one test: `reason` is "" when it ended well, `seconds` its CPU time."""

    reason: str
    output: bytes
    seconds: float


@dataclass(frozen=True)
class Call:
    """What one call of a program's function came to; `value`, in tagged form, is there if `reason` is ""."""

    reason: str
    value: Any
    seconds: float


class WarmProcess:
    """One warm process, started at once. Not for two threads at a time.

    memory_mb: address space of a program, in MiB. Raises UserError when the process does not start. Every
    method raises MachineError when the process fails; it is then of no further use but to be closed.
    """

    def __init__(self, memory_mb: int):
        self.memory = memory_mb << 20
        self.folder = Path(tempfile.mkdtemp(prefix="judge-"))
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack = f'ulimit -Ss {STACK_KILOBYTES} 2>/dev/null || ulimit -Ss "$(ulimit -Hs)"; exec "$@"'
        module = [sys.executable, "-m", "SkyThought.warm_process", str(theirs.fileno()), str(self.folder)]
        with theirs:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", stack, "sh", *module],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[1],
                env=_environment(self.folder),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.control.settimeout(START_SECONDS)
        try:
            ready = self.control.recv(1 << 16)
        except OSError:
            ready = b""
        self.control.settimeout(GRACE_SECONDS)
        if not ready:
            self.close()
            status = self.process.returncode
            raise UserError(
                f"The judge's helper process, which needs Linux and numpy, ended with status {status}."
            )

    def run(self, source: str, stdin: bytes, timeout: float) -> Execution:
        """Run a program that reads standard input. `timeout` is in seconds of CPU time."""
        with self._program(source, None, timeout, tests=1) as program:
            program.give(stdin)
            program.drive()
            seconds = program.cpu()
            return Execution(program.reason(program.take_report(), seconds), bytes(program.output), seconds)

    def calls(self, source: str, function: str, arguments: list[list], timeout: float) -> Iterator[Call]:
        """Call a program's function with each list of arguments in turn, until the first call that fails.

        All in one child, so what the program keeps between calls stays, as in TACO's own checker. `timeout`
        is for each call; loading the program counts to the first. Close the iterator to end the program
        earlier.
        """
        with self._program(source, function, timeout, tests=len(arguments)) as program:
            before = 0.0
            for each in arguments:
                program.give(json.dumps(each).encode() + b"\n")
                program.drive(until_report=True)
                report = program.take_report()
                now = program.cpu()
                reason = program.reason(report, now - before)
                yield Call(reason, report.get("value"), now - before)
                if reason:
                    return
                before = now

    def close(self) -> None:
        """End the process and whatever it has running, and remove its folder."""
        self.control.shutdown(socket.SHUT_RDWR)  # reaches it even if a fork of this process has the socket too
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        remove_folder(self.folder)

    def _program(self, source: str, function: str | None, timeout: float, tests: int) -> RunningProgram:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        file = folder / "program.py"
        file.write_text(source, encoding="utf-8", errors="surrogatepass", newline="")
        request = {
            "folder": str(folder),
            "function": function,
            "timeout": timeout,
            "wall": timeout * WALL_FACTOR,
            "memory": self.memory,
            "cpu_seconds": int(timeout * tests) + 2,
        }
        return RunningProgram(self.control, request)


def _environment(folder: Path) -> dict[str, str]:
    """What the programs see: nothing of the judge's own environment that they do not need."""
    kept = {name: os.environ[name] for name in ("HOME", "LD_LIBRARY_PATH") if name in os.environ}
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    pinned = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    return {"HOME": str(folder)} | kept | pinned | one_thread
