"""Runs a program on tests, each in a child of a warm process, and measures and explains how it ended."""

import itertools
import os
import re
import select
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from hindsight.files.verdicts import OUTPUT_LIMIT, TIME_LIMIT
from SkyThought.execution.reasons import BAD_RESULT, OUTPUT, find_reason, read_report, reason_of_exception
from SkyThought.execution.warm_process_handle import MachineError, WarmProcess
from SkyThought.sandbox import kernel, messages
from SkyThought.sandbox.messages import Ending

WALL_FACTOR = 3  # wall seconds per CPU second of the limit: a program that sleeps or waits ends too
GRACE_SECONDS = 120  # beyond the wall limit, for a busy machine; after that the warm process counts as hung
QUICK_MILLISECONDS = 5  # at first the judge waits only for the child's end
OUTPUT_BYTES = 64 << 20  # most that a program may print, or its function return, in a test
LARGE_BYTES = 1 << 20  # the memory of larger outputs is given back to the machine at once
CPU_TIME = b', "cpu": '
_CPU_TIME = re.compile(CPU_TIME + rb"(\d{1,6}(?:\.\d{1,6})?(?:e-\d{1,2})?)}$")
SAME = object()  # stands for a value equal to the known one
MOST_ITEMS = 2_000_000  # in a returned value: an item may be four bytes of text, and a hundred bytes of memory


@dataclass(frozen=True)
class Execution:
    """How a program ended on one input: `reason` is "" if it ended normally; `seconds` of CPU time.

    `thread_reason`: why one of its threads died, "" if none did. The program may still have ended normally.
    """

    reason: str
    output: bytes
    seconds: float
    thread_reason: str = ""


@dataclass(frozen=True)
class Call:
    """How one call of a program's function ended; `value`, in tagged form or SAME, is set if `reason` is ""."""

    reason: str
    value: Any
    seconds: float


class OutputPipe:
    """A child's output or report, read from a descriptor; of more than OUTPUT_BYTES only the beginning is kept.

    The content is one block of memory, because many small ones would not all be returned to the system afterwards.
    """

    def __init__(self, descriptor: int):
        self.descriptor, self.data = descriptor, bytearray()
        self.too_much = self.was_large = self.has_line = False

    def read(self) -> bool:
        """Read what has arrived, at most slightly more than the limit; returns whether more may come."""
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

    def take_lines(self) -> list[bytes]:
        """Take the complete lines out."""
        if not self.has_line:
            return []
        *lines, rest = bytes(self.data).split(b"\n")
        self.data, self.has_line = bytearray(rest), False
        return lines


class Program:
    """A program in a warm process, which runs it on one input after another; a context manager.

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
        """Run it on an input, in a new child. timeout: seconds of CPU time."""
        output, theirs = os.pipe()
        os.set_blocking(output, False)
        try:
            head = messages.TEST + _pack(timeout)
            if len(head) + len(stdin) <= messages.MESSAGE_BYTES:
                self.warm.send(head + stdin, theirs)
            else:
                self.warm.send(head, theirs, messages.memory_file(stdin))
            printed = OutputPipe(output)
            ending = self._wait(printed, timeout)
        finally:
            os.close(output)
        reports = OutputPipe(self.reports)
        reports.read()
        report = read_report(bytes(reports.data))
        report.pop("value", None)  # nothing is called, so the program forged it
        reason = find_reason(ending, report, ending.cpu_seconds, timeout)
        thread_reason = reason_of_exception(report["thread"]) if "thread" in report else ""
        return Execution(reason, bytes(printed.data), ending.cpu_seconds, thread_reason)

    def calls(
        self, function: str, arguments: bytes, limits: Sequence[float], reading: bytes, known: Sequence[bytes] = ()
    ) -> Generator[Call, None, None]:
        """Call its function of this name with each list of arguments in turn, until the first call that fails.

        All calls happen in one child, so the program's state carries over, as in TACO's own checker. arguments: the
        lists, as JSON or by `marshal`; limits: CPU seconds for each call, loading the program counts to the first;
        reading: how to read the arguments, see `sandbox.calls`; known: beginnings of report lines whose value is SAME,
        so that it need not be parsed. Close the generator to end the child earlier.
        """
        head = messages.CALLS + _pack(limits[0]) + reading
        self.warm.send(head + function.encode("utf-8", "surrogatepass"), messages.memory_file(arguments))
        done, returned, ending, pipe = 0, 0.0, None, OutputPipe(self.reports)
        try:
            for restarts in itertools.count():
                ending, used, lines = self._wait_for_calls(pipe, limits, done, returned, restarts)
                lines, left = lines[: len(limits) - done], max(0.0, used - returned)
                is_last = bool(lines) and (done + len(lines) == len(limits) or _claim(lines[-1]) is None)
                for line, seconds in zip(lines, _divide(lines, left, is_last), strict=True):
                    same = bool(known and known[done]) and line.startswith(known[done] + CPU_TIME)
                    call = _read_call(line, ending, seconds, limits[done], same)
                    done, returned, left = done + 1, returned + seconds, left - seconds
                    yield call
                    if call.reason:
                        return
                if done == len(limits):
                    return
                if ending is not None:
                    yield Call(find_reason(ending, {}, left, limits[done], BAD_RESULT), None, left)
                    return
        finally:
            if ending is None:
                self.warm.send(messages.STOP)
                self._wait(pipe, max(limits))

    def _wait(self, pipe: OutputPipe, timeout: float) -> Ending:
        """Wait for the end of the child while reading its output."""
        if not self.warm.poller.poll(QUICK_MILLISECONDS):
            self._read_while_it_runs(pipe, timeout, until_line=False)
        while True:
            message = self._receive(timeout)
            if message[:1] == messages.ENDED:
                return self._read_ending(message, pipe)

    def _wait_for_calls(
        self, pipe: OutputPipe, limits: Sequence[float], done: int, returned: float, restarts: int
    ) -> tuple[Ending | None, float, list[bytes]]:
        """Wait until calls have returned or the child has ended; the ending, the child's CPU seconds, the calls' lines.

        done, returned: calls that had returned before, and their CPU seconds; restarts: how many NEXT told of them.
        """
        longest = max(limits[done:])
        while True:
            if not pipe.has_line and not self.warm.poller.poll(QUICK_MILLISECONDS):
                self._read_while_it_runs(pipe, longest, until_line=True)
            lines = pipe.take_lines()
            if lines:
                limit, claims = limits[min(done + len(lines), len(limits) - 1)], map(_claim, lines)
                seconds = returned + sum(claim or 0.0 for claim in claims)
                self.warm.send(messages.NEXT + _pack(limit) + messages.SECONDS.pack(seconds))
            message = self._receive(longest)
            while lines and message == messages.ASK:
                message = self._receive(longest)
            if message[:1] == messages.USED:
                self.large |= pipe.was_large
                return None, messages.SECONDS.unpack(message[1:])[0], lines
            if message[:1] == messages.ENDED:
                ending = self._read_ending(message, pipe)
                return ending, ending.cpu_seconds, lines + pipe.take_lines()
            pipe.read()
            if not pipe.has_line:
                self.warm.send(messages.RUNNING + messages.COUNT.pack(restarts))

    def _receive(self, timeout: float) -> bytes:
        """The warm process's next message, about a child with this limit in CPU seconds."""
        return self.warm.receive(WALL_FACTOR * timeout + GRACE_SECONDS)

    def _read_ending(self, message: bytes, pipe: OutputPipe) -> Ending:
        """The child's ending, after reading the rest of its output."""
        pipe.read()
        self.large |= pipe.was_large
        ending = Ending.unpack(message[1:])
        return ending._replace(limit=OUTPUT) if pipe.too_much else ending

    def _read_while_it_runs(self, pipe: OutputPipe, timeout: float, until_line: bool) -> bool:
        """Read the pipe until a message arrives (False) or, with `until_line`, a complete line (True).

        Raises MachineError when neither arrives.
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
                raise MachineError("the judge's warm process does not respond")
            if not pipe.read():
                poller.unregister(pipe.descriptor)
            if pipe.too_much:
                self.warm.send(messages.STOP)
                return False
            if until_line and pipe.has_line:
                return True


def _claim(line: bytes) -> float | None:
    """The CPU seconds of a call according to the child, from the line about it; None for a call that did not return."""
    match = _CPU_TIME.search(line, max(0, len(line) - 40))
    return float(match[1]) if match else None


def _divide(lines: list[bytes], seconds: float, is_last: bool) -> list[float]:
    """The CPU seconds of calls that returned together, of which the child has used `seconds`.

    Each call has the time that the child reports, reduced if together they are more than it has used. What is left
    belongs to the call that runs now or, with `is_last`, to the last of these. So a program that forges its report only
    moves time from one of its calls to another.
    """
    shares = [_claim(line) or 0.0 for line in lines]
    most = seconds / (sum(shares) or 1.0)
    shares = [share * min(1.0, most) for share in shares]
    if is_last and shares:
        shares[-1] += seconds - sum(shares)
    return shares


def _pack(timeout: float) -> bytes:
    """The limits of a program in a message, from its CPU seconds."""
    return messages.LIMITS.pack(timeout, WALL_FACTOR * timeout)


def _read_call(line: bytes, ending: Ending | None, seconds: float, timeout: float, same: bool) -> Call:
    """The call that a line of the report pipe is about; `same`: its value is known."""
    if same:
        return Call(TIME_LIMIT if seconds > timeout else "", SAME, seconds)
    if line.count(b",") + line.count(b"[") > MOST_ITEMS:
        return Call(OUTPUT_LIMIT, None, seconds)
    report = read_report(line)
    return Call(find_reason(ending, report, seconds, timeout, BAD_RESULT), report.get("value"), seconds)
