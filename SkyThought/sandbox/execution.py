"""Runs programs on tests, each in a child of a warm process: the judge's side of it, and the trusted one.

It keeps what was expected to itself, sends inputs, takes outputs and times, and says how a program ended. Behind it
are a warm process for each worker (`helper_process` starts it, `warm_process`, `supervisor`) and a child of it
for each test (`child_process`), contained by `sandbox`.
"""

import json
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hindsight.files.verdicts import (
    MEMORY_LIMIT,
    MISSING_FUNCTION,
    OUTPUT_LIMIT,
    RUNTIME_ERROR,
    SYNTAX_ERROR,
    TIME_LIMIT,
)
from SkyThought.sandbox import kernel, messages
from SkyThought.sandbox.helper_process import MachineError, WarmProcess

WALL_FACTOR = 3  # wall seconds a CPU second of the limit: a program that sleeps or waits ends too
GRACE_SECONDS = 120  # beyond the wall limit, for a busy machine; longer means that the warm process hangs
QUICK_MILLISECONDS = 5  # until then nothing but the child's end is waited for
MOST_ITEMS = 2_000_000  # in a value a function returns: each may be four bytes of text, and a hundred of memory
LARGE_BYTES = 1 << 20  # an output from which on its memory is given back at once
LONG_INTEGER = 200_000  # digits: Python takes a quarter of a second to read them, and four times that for twice as many
OUTPUT_BYTES = 64 << 20  # most a program may print, or its function return, in a test


_BAD_RESULT = f"{RUNTIME_ERROR}: bad result"
_OUTPUT = b"o"  # a limit met that is seen here, beside those of `messages`
_REASONS_OF_LIMITS = {
    messages.CPU: TIME_LIMIT,
    messages.WALL: TIME_LIMIT,
    _OUTPUT: OUTPUT_LIMIT,
    messages.DISK: OUTPUT_LIMIT,
    messages.THREADS: f"{RUNTIME_ERROR}: too many threads",
}


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
                self.large |= pipe.was_large
                return _Ended(message, pipe.too_much)

    def _wait_for_calls(self, pipe: "_Pipe", timeout: float) -> tuple["_Ended | None", float]:
        """Wait until calls have returned, and give their CPU seconds, or until the child has ended."""
        if not self.warm.poller.poll(QUICK_MILLISECONDS) and self._take_while_it_runs(pipe, timeout, until_line=True):
            self.warm.send(messages.NEXT)
        self.large |= pipe.was_large
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
        self.descriptor, self.data = descriptor, bytearray()
        self.too_much = self.was_large = self.has_line = False

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
            self.was_large = self.was_large or len(self.data) > LARGE_BYTES
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
