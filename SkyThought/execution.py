"""Runs programs on tests, each in a child of a warm process: the judge's side of it, and the trusted one.

It keeps what was expected to itself, sends inputs, takes outputs and times, and says how a program ended. Behind it
are a warm process for each worker (`warm_process`, `supervisor`) and a child of it for each test (`child_process`),
contained by `sandbox`. Linux only.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.settings import UserError
from SkyThought import kernel, messages
from SkyThought.sandbox import LAYERS

WALL_FACTOR = 3  # wall seconds a CPU second of the limit: a program that sleeps or waits ends too
START_SECONDS = 120  # for the warm process to import what it imports, on a busy machine
GRACE_SECONDS = 120  # beyond the wall limit, for a busy machine; longer means that the warm process hangs
CLOSE_SECONDS = 10  # for the warm process to end what runs, and itself
QUICK_MILLISECONDS = 5  # until then nothing but the child's end is waited for
MOST_ITEMS = 2_000_000  # in a value a function returns: each may be four bytes of text, and a hundred of memory
LARGE_BYTES = 1 << 20  # an output from which on its memory is given back at once
LONG_INTEGER = 200_000  # digits: Python takes a quarter of a second to read them, and four times that for twice as many
OUTPUT_BYTES = 64 << 20  # most a program may print, or its function return, in a test
STACK_KILOBYTES = 512 << 10  # main thread's stack, for deep recursion through C code (sort keys, lru_cache)
PREFIX = "judge-"  # of the folders in the machine's temporary folder

SYNTAX_ERROR = "syntax error"
MISSING_FUNCTION = "missing function"
RUNTIME_ERROR = "runtime error"
TIME_LIMIT = "time limit"
MEMORY_LIMIT = "memory limit"
OUTPUT_LIMIT = "output limit"

_BAD_RESULT = f"{RUNTIME_ERROR}: bad result"
_OUTPUT = b"o"  # a limit met that is seen here, beside those of `messages`
_REASONS_OF_LIMITS = {
    messages.CPU: TIME_LIMIT,
    messages.WALL: TIME_LIMIT,
    _OUTPUT: OUTPUT_LIMIT,
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

    memory_mb: a program's address space in MiB; layers: names of `sandbox.LAYERS` to use where the kernel allows them;
    large: with all that `prelude` can import beforehand; unsafe: go on although programs are not contained. `state`
    says which layers are on. Raises UserError when the process does not start, or when programs could do what they
    must not. Every other method raises MachineError when the process fails; it is then of no further use but to be
    closed.
    """

    def __init__(
        self, memory_mb: int, layers: tuple[str, ...] = LAYERS, large: bool = False, unsafe: bool = False
    ):
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        for name in ("box", "root"):
            (self.folder / name).mkdir()
        (self.folder / "secret").write_text("secret")
        self._lock = os.open(self.folder / "secret", os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # says that this folder is in use
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
        self.poller = select.poll()
        self.poller.register(self.control, select.POLLIN)
        self.state = self._wait_until_ready()
        if self.state["possible"] and not unsafe:
            self.close()
            raise UserError(_not_contained(self.state))

    def program(self, source: str) -> "Program":
        """Take a program; close it before the next one is taken."""
        return Program(self, source)

    def send(self, message: bytes, *files: int) -> None:
        """Send a message and files, which are then closed. Raises MachineError."""
        try:
            messages.send(self.control, message, *files)
        except OSError as error:
            raise MachineError("the judge's helper process died") from error
        finally:
            for file in files:
                os.close(file)

    def receive(self, seconds: float) -> bytes:
        """The next message, waiting this long. Raises MachineError."""
        if not self.poller.poll(1000 * seconds):
            raise MachineError("the judge's helper process hangs")
        try:
            message, _ = messages.receive(self.control)
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
        os.close(self._lock)

    def _wait_until_ready(self) -> dict[str, Any]:
        try:
            return json.loads(self.receive(START_SECONDS)[1:])
        except MachineError:
            self.close()
            raise UserError(
                f"The judge's helper process, which needs Linux, ended with status {self.process.returncode}."
            ) from None


class Program:
    """A program that a warm process has taken, to be run on tests one after another, by `with`.

    Every method raises MachineError when the warm process fails.
    """

    def __init__(self, warm: WarmProcess, source: str):
        self.warm, self.large = warm, False
        self.reports, theirs = os.pipe()
        os.set_blocking(self.reports, False)
        try:
            warm.send(messages.PROGRAM, messages.memory_file(source.encode("utf-8", "surrogatepass")), theirs)
        except MachineError:
            os.close(self.reports)
            raise

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *exception: Any) -> None:
        os.close(self.reports)
        if self.large:
            kernel.release_memory()

    def run(self, stdin: bytes, timeout: float) -> Execution:
        """Run it on an input, in a new child. `timeout` is in seconds of CPU time."""
        output, theirs = os.pipe()
        os.set_blocking(output, False)
        try:
            head = messages.TEST + messages.LIMITS.pack(timeout, WALL_FACTOR * timeout)
            if len(head) + len(stdin) <= messages.MESSAGE_BYTES:
                self.warm.send(head + stdin, theirs)
            else:
                self.warm.send(head, theirs, messages.memory_file(stdin))
            printed = _Pipe(output)
            ended = self._wait(printed, timeout)
        finally:
            os.close(output)
        report = _read_report(_Pipe(self.reports).rest())
        report.pop("value", None)  # there are no calls: it wrote that itself
        return Execution(_reason(ended, report, ended.seconds, timeout, ""), printed.content(), ended.seconds)

    def calls(self, function: str, arguments: list[list], timeout: float) -> Iterator[Call]:
        """Call its function of this name with each list of arguments in turn, until the first call that fails.

        All in one child, so what the program keeps between calls stays, as in TACO's own checker. `timeout` is for
        each call; loading the program counts to the first. Close the iterator to end the child earlier.
        """
        limits = messages.LIMITS.pack(timeout, WALL_FACTOR * timeout)
        name = function.encode("utf-8", "surrogatepass")
        self.warm.send(messages.CALLS + limits + name, messages.memory_file(json.dumps(arguments).encode()))
        left, used, ended, pipe = len(arguments), 0.0, None, _Pipe(self.reports)
        try:
            while ended is None:
                ended, seconds = self._wait_for_calls(pipe, timeout)
                if ended is not None:
                    seconds = max(0.0, ended.seconds - used)
                used += seconds
                lines = pipe.take_lines()
                for line in lines[:left]:
                    share = seconds / len(lines)
                    if line.count(b",") + line.count(b"[") > MOST_ITEMS:
                        yield Call(OUTPUT_LIMIT, None, share)
                        return
                    report = _read_report(line)
                    call = Call(_reason(ended, report, share, timeout, _BAD_RESULT), report.get("value"), share)
                    yield call
                    if call.reason:
                        return
                left -= len(lines)
                if left <= 0:
                    return
            yield Call(_reason(ended, {}, seconds, timeout, _BAD_RESULT), None, seconds)
        finally:
            if ended is None:
                self.warm.send(messages.STOP)
                self._wait(pipe, timeout)

    def _wait(self, pipe: "_Pipe", timeout: float) -> "_Ended":
        """Wait for the end of the child, and take what it prints meanwhile."""
        if not self.warm.poller.poll(QUICK_MILLISECONDS):
            self._take_while_it_runs(pipe, timeout, until_line=False)
        while True:
            message = self.warm.receive(WALL_FACTOR * timeout + GRACE_SECONDS)
            if message[:1] == messages.ENDED:
                pipe.read()
                self.large |= len(pipe.data) > LARGE_BYTES
                return _Ended(message, pipe.too_much)

    def _wait_for_calls(self, pipe: "_Pipe", timeout: float) -> tuple["_Ended | None", float]:
        """Wait until calls have returned, and give their CPU seconds, or until the child has ended."""
        if not self.warm.poller.poll(QUICK_MILLISECONDS) and self._take_while_it_runs(pipe, timeout, until_line=True):
            self.warm.send(messages.NEXT)
        self.large |= len(pipe.data) > LARGE_BYTES
        message = self.warm.receive(WALL_FACTOR * timeout + GRACE_SECONDS)
        if message[:1] == messages.USED:
            return None, messages.SECONDS.unpack(message[1:])[0]
        pipe.read()
        return _Ended(message, pipe.too_much), 0.0

    def _take_while_it_runs(self, pipe: "_Pipe", timeout: float, until_line: bool) -> bool:
        """Read the pipe until there is a message (False), or a whole line if that is what is waited for (True).

        Raises MachineError when neither comes.
        """
        poller, control = select.poll(), self.warm.control.fileno()
        for watched in (control, pipe.descriptor):
            poller.register(watched, select.POLLIN)
        deadline = time.monotonic() + WALL_FACTOR * timeout + GRACE_SECONDS
        while True:
            ready = [number for number, _ in poller.poll(1000 * max(0.0, deadline - time.monotonic()))]
            if control in ready:
                return False
            if not ready:
                raise MachineError("the judge's helper process hangs")
            if not pipe.read():
                poller.unregister(pipe.descriptor)
            if pipe.too_much:
                self.warm.send(messages.STOP)
                return False
            if until_line and pipe.has_line:
                return True


class _Pipe:
    """What comes through a pipe from a child, up to OUTPUT_BYTES; of what is too much the beginning is kept.

    In one piece of memory: in many small ones it would not all go back to the machine afterwards.
    """

    def __init__(self, descriptor: int):
        self.descriptor, self.data, self.too_much, self.has_line = descriptor, bytearray(), False, False

    def read(self) -> bool:
        """Take what there is, at most a little too much; whether there may be more."""
        while not self.too_much:
            try:
                data = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.data += data
            self.has_line = self.has_line or b"\n" in data
            if len(self.data) > OUTPUT_BYTES:
                self.too_much = True
                del self.data[1 << 16 :]
        return True

    def content(self) -> bytes:
        return bytes(self.data)

    def rest(self) -> bytes:
        self.read()
        return self.content()

    def take_lines(self) -> list[bytes]:
        """The whole lines, which are taken out."""
        *lines, rest = self.content().split(b"\n")
        self.data, self.has_line = bytearray(rest), False
        return lines


class _Ended:
    """How a child ended: its wait status, CPU seconds and the limit it met."""

    def __init__(self, message: bytes, too_much: bool):
        self.status, self.seconds, self.limit = messages.RESULT.unpack(message[1:])
        if too_much:
            self.limit = _OUTPUT


def _reason(ended: _Ended | None, report: dict, seconds: float, timeout: float, otherwise: str) -> str:
    """Why a test or call is not passed, as far as running it tells; "" when it ended well or returned a value.

    ended: None while the child still runs; report: of the call, or of how the program failed; otherwise: the reason
    for a good end without a value.
    """
    error = report.get("error")
    if ended is not None and "value" not in report and ended.limit in _REASONS_OF_LIMITS:
        return _REASONS_OF_LIMITS[ended.limit]
    if seconds > timeout:
        return TIME_LIMIT
    if error in (SYNTAX_ERROR, MISSING_FUNCTION):
        return error
    if error == "exception":
        name = _printable(str(report.get("name"))[:80])
        return MEMORY_LIMIT if name == "MemoryError" else f"{RUNTIME_ERROR}: {name}"
    if "value" in report:
        return ""
    return otherwise if ended is None else _reason_of_end(ended.status, otherwise)


def _read_report(text: bytes) -> dict:
    """The first line of a child's report; empty when there is none, or none that can be read."""
    line = text.partition(b"\n")[0]
    try:
        if len(line) > LONG_INTEGER:
            report = json.loads(line, parse_int=_Integers().read)
        else:
            report = json.loads(line) if line else {}
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


class _Integers:
    """Reads integers for a quarter of a second; the rest stay text, which equals no integer."""

    def __init__(self) -> None:
        self.left = LONG_INTEGER**2

    def read(self, text: str) -> int | str:
        self.left -= len(text) ** 2
        return int(text) if self.left >= 0 else text


def _printable(text: str) -> str:
    """With what no terminal or file should be asked to hold written as in Python's own texts."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _reason_of_end(status: int, otherwise: str) -> str:
    """The reason for a wait status."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return TIME_LIMIT
    if code < 0:
        names = {member.value: member.name for member in signal.Signals}
        return f"{RUNTIME_ERROR}: {names.get(-code, f'signal {-code}')}"
    return f"{RUNTIME_ERROR}: exit status {code}" if code or otherwise else ""


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
        if owner.isdigit() and not Path("/proc", owner).exists() and not _is_in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_in_use(folder: Path) -> bool:
    """Whether somebody holds its lock: a judge in another container may share the temporary folder, not the ids."""
    try:
        file = os.open(folder / "secret", os.O_RDONLY)
    except OSError:  # somebody else's, or not yet or no more whole
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
