"""Runs programs on tests, each in a child of a warm process: the judge's side of it, and the trusted one.

It keeps what was expected to itself, sends inputs, takes outputs and times, and says how a program ended. Behind it are
a warm process for each worker (`warm_process`, `supervisor`) and a child of it for each test (`child_process`), contained
by `sandbox`. Linux only.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.settings import UserError
from SkyThought import messages
from SkyThought.sandbox import LAYERS

WALL_FACTOR = 3  # wall seconds a CPU second of the limit: a program that sleeps or waits ends too
START_SECONDS = 120  # for the warm process to import what it imports, on a busy machine
GRACE_SECONDS = 120  # beyond the wall limit, for a busy machine; longer means that the warm process hangs
CLOSE_SECONDS = 10  # for the warm process to end what runs, and itself
STACK_KILOBYTES = 512 << 10  # main thread's stack, for deep recursion through C code (sort keys, lru_cache)
PREFIX = "judge-"  # of the folders in the machine's temporary folder

SYNTAX_ERROR = "syntax error"
MISSING_FUNCTION = "missing function"
RUNTIME_ERROR = "runtime error"
TIME_LIMIT = "time limit"
MEMORY_LIMIT = "memory limit"
OUTPUT_LIMIT = "output limit"

_REASONS_OF_LIMITS = {
    messages.CPU: TIME_LIMIT,
    messages.WALL: TIME_LIMIT,
    messages.OUTPUT: OUTPUT_LIMIT,
    messages.DISK: OUTPUT_LIMIT,
    messages.THREADS: f"{RUNTIME_ERROR}: too many threads",
}


class MachineError(Exception):
    """The judge or the machine failed, not the program: nothing is known about the program."""


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

    layers: names of `sandbox.LAYERS` to use where the kernel allows them; large: with all that `prelude` can import beforehand;
    unsafe: go on although programs are not contained. `state` says which layers are on. Raises UserError when the
    process does not start, or when programs could do what they must not. Every other method raises MachineError when
    the process fails; it is then of no further use but to be closed.
    """

    def __init__(
        self, memory_mb: int, layers: tuple[str, ...] = LAYERS, large: bool = False, unsafe: bool = False
    ):
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        for name in ("box", "root"):
            (self.folder / name).mkdir()
        (self.folder / "secret").write_text("secret")
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The shell stays, to remove the folder, and end what may be left, should this process be killed.
        stack = f'ulimit -Ss {STACK_KILOBYTES} 2>/dev/null || ulimit -Ss "$(ulimit -Hs)"'
        command = f'{stack}; "$@"; status=$?; rm -rf "$0"; [ $status -lt 128 ] || kill -KILL 0; exit $status'
        kind = "large" if large else "small"
        arguments = [str(theirs.fileno()), str(self.folder), str(os.getpid()), str(memory_mb << 20), kind, *layers]
        with theirs:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", command, self.folder, sys.executable, "-m", "SkyThought.warm_process", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[1],
                env=_environment(self.folder),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.state = self._wait_until_ready()
        if self.state["possible"] and not unsafe:
            self.close()
            raise UserError(_not_contained(self.state))

    def program(self, source: str, function: str | None, tests: int) -> "Program":
        """Take a program, which is to be run on so many tests."""
        head = json.dumps({"function": function, "tests": tests}).encode()
        self.send(messages.PROGRAM + head + b"\n", source.encode("utf-8", "surrogatepass"))
        return Program(self, function)

    def send(self, head: bytes, body: bytes = b"") -> None:
        """Raises MachineError."""
        try:
            messages.send(self.control, head, body)
        except OSError as error:
            raise MachineError("the judge's helper process died") from error

    def receive(self, seconds: float) -> bytes:
        """The next message, waiting this long. Raises MachineError."""
        self.control.settimeout(seconds)
        try:
            message = messages.receive_whole(self.control)
        except TimeoutError as error:
            raise MachineError("the judge's helper process hangs") from error
        except OSError as error:
            raise MachineError("the judge's helper process died") from error
        if not message:
            raise MachineError("the judge's helper process died")
        return message

    def close(self) -> None:
        """End the process and whatever it has running, and remove its folder."""
        with suppress(OSError):  # it may be gone already
            self.control.shutdown(socket.SHUT_RDWR)  # reaches it even if a fork of this process has the socket too
        self.control.close()
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> dict[str, Any]:
        try:
            return json.loads(self.receive(START_SECONDS)[1:])
        except MachineError:
            self.close()
            raise UserError(
                "The judge's helper process, which needs Linux and numpy, "
                f"ended with status {self.process.returncode}."
            ) from None


class Program:
    """A program that a warm process has taken, ready to be run on tests one after another."""

    def __init__(self, warm: WarmProcess, function: str | None):
        self.warm, self.function = warm, function

    def run(self, stdin: bytes, timeout: float) -> Execution:
        """Run it on an input, in a new child. `timeout` is in seconds of CPU time."""
        part = self._exchange(messages.TEST, stdin, timeout)
        reason = self._reason(part, _read_report(part.report), part.seconds, timeout)
        return Execution(reason, part.output, part.seconds)

    def calls(self, arguments: list[list], timeout: float) -> Iterator[Call]:
        """Call its function with each list of arguments in turn, until the first call that fails.

        All in one child, so what the program keeps between calls stays, as in TACO's own checker. `timeout` is for
        each call; loading the program counts to the first. Close the iterator to end the child earlier.
        """
        left, used = len(arguments), 0.0
        part = self._exchange(messages.CALLS, json.dumps(arguments).encode(), timeout)
        try:
            while True:
                seconds = part.seconds if part.status is None else max(0.0, part.seconds - used)
                used += seconds
                lines = part.report.splitlines()
                for line in lines[:left]:
                    share = seconds / len(lines)
                    report = _read_report(line)
                    call = Call(self._reason(part, report, share, timeout), report.get("value"), share)
                    yield call
                    if call.reason:
                        return
                left -= len(lines)
                if left <= 0:
                    return
                if part.status is not None:
                    yield Call(self._reason(part, {}, seconds, timeout), None, seconds)
                    return
                part = self._receive(timeout)
        finally:
            if part.status is None:
                self.warm.send(messages.STOP)
                while self._receive(timeout).status is None:
                    pass

    def _exchange(self, kind: bytes, content: bytes, timeout: float) -> "_Part":
        self.warm.send(kind + messages.TEST_LIMITS.pack(timeout, WALL_FACTOR * timeout), content)
        return self._receive(timeout)

    def _receive(self, timeout: float) -> "_Part":
        message = self.warm.receive(WALL_FACTOR * timeout + GRACE_SECONDS)
        if message[:1] == messages.RETURNED:
            start = 1 + messages.SECONDS.size
            return _Part(seconds=messages.SECONDS.unpack(message[1:start])[0], report=message[start:])
        start = 1 + messages.RESULT.size
        status, seconds, limit, size = messages.RESULT.unpack(message[1:start])
        return _Part(status, seconds, limit, message[start : start + size], message[start + size :])

    def _reason(self, part: "_Part", report: dict, seconds: float, timeout: float) -> str:
        """Why a test or call is not passed, as far as running it tells; "" when it ended well or returned a value."""
        error, returned = report.get("error"), "value" in report and self.function is not None
        if part.limit in _REASONS_OF_LIMITS and not returned:
            return _REASONS_OF_LIMITS[part.limit]
        if seconds > timeout:
            return TIME_LIMIT
        if error in (SYNTAX_ERROR, MISSING_FUNCTION):
            return error
        if error == "exception":
            name = str(report.get("name"))[:80]
            return MEMORY_LIMIT if name == "MemoryError" else f"{RUNTIME_ERROR}: {name}"
        if returned:
            return ""
        if part.status is None:
            return f"{RUNTIME_ERROR}: bad result"
        return _reason_of_end(part.status, self.function)


@dataclass(frozen=True)
class _Part:
    """A message from the warm process: a child's end, or, with no `status`, calls that have returned."""

    status: int | None = None
    seconds: float = 0.0
    limit: bytes = messages.NO_LIMIT
    report: bytes = b""
    output: bytes = b""


def _read_report(text: bytes) -> dict:
    """The first line of a child's report; empty when there is none, or none that can be read."""
    try:
        report = json.loads(text.partition(b"\n")[0]) if text else {}
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _reason_of_end(status: int, function: str | None) -> str:
    """The reason for a wait status; "" for the good end of a program that had no function to be called."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return TIME_LIMIT
    if code < 0:
        names = {member.value: member.name for member in signal.Signals}
        return f"{RUNTIME_ERROR}: {names.get(-code, f'signal {-code}')}"
    return "" if code == 0 and function is None else f"{RUNTIME_ERROR}: exit status {code}"


def _environment(folder: Path) -> dict[str, str]:
    """What the programs see: nothing of the judge's own environment that they do not need."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    # Symbols bound at the start are not looked up again in every child.
    pinned = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "LD_BIND_NOW": "1", "HOME": str(folder)}
    return kept | pinned | one_thread


def _not_contained(state: dict[str, Any]) -> str:
    off = "; ".join(f"{name}: {reason}" for name, reason in state["off"].items())
    return (
        f"Programs cannot be contained here: one could {', '.join(state['possible'])} ({off}). "
        "Use another machine, or give --unsafe to run them all the same."
    )


def remove_leftovers() -> None:
    """Remove the folders of judges on this machine that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists() and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
