"""One program while it runs in a child of the warm process: its pipes, its time, and how it ended.

The judge's side: it drives the pipes, all at once, so that neither side waits for the other, and turns what
became of the child into a reason. What was expected is not known here.
"""

import json
import os
import select
import shutil
import signal
import socket
import time
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import Any

SYNTAX_ERROR = "syntax error"
MISSING_FUNCTION = "missing function"
RUNTIME_ERROR = "runtime error"
TIME_LIMIT = "time limit"
MEMORY_LIMIT = "memory limit"
OUTPUT_LIMIT = "output limit"

OUTPUT_BYTES = 64 << 20  # most a program may print, or its function return, in a test
PIPE_BYTES = 1 << 20  # most the kernel lets a pipe hold: an input that fits is there whole, as in a file
GRACE_SECONDS = 120  # beyond the wall limit, for a busy machine; longer means that the warm process hangs


class MachineError(Exception):
    """The judge or the machine failed, not the program: nothing is known about the program."""


class RunningProgram:
    """One child of the warm process: its pipes, what came through them, and how it ended.

    control: the socket to the warm process. request: as `child_process.run` reads it, JSON. `output` is what
    the program has printed. Every method may raise MachineError.
    """

    def __init__(self, control: socket.socket, request: dict):
        self.control, self.request = control, request
        (stdin, self.input), (self.output_end, stdout), (self.report_end, report) = (os.pipe() for _ in "123")
        self.theirs = [stdin, stdout, report]
        self.open = {self.input, self.output_end, self.report_end}
        for fd in self.open:
            os.set_blocking(fd, False)
        self.output, self.report, self.reports = bytearray(), bytearray(), 0
        self.todo = memoryview(b"")
        self.pid: int | None = None
        self.ended: dict | None = None
        self.too_much = False

    def __enter__(self) -> "RunningProgram":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        try:
            if isinstance(error, MachineError):
                self._kill_orphans()
            elif self.ended is None and not self.theirs:
                self._tell("kill")
                self.drive()
        finally:
            for fd in [*self.open, *self.theirs]:
                os.close(fd)
            remove_folder(Path(self.request["folder"]))

    def give(self, data: bytes) -> None:
        """Give the child the input of a test, which starts it (the first time) or its clock."""
        self.todo = memoryview(data)
        self.deadline = time.monotonic() + self.request["wall"] + GRACE_SECONDS
        if not self.theirs:
            self._tell("reset")
            return
        if len(data) > 1 << 16:
            with suppress(PermissionError):  # the user's share of pipe memory is used up: a smaller one will do
                fcntl(self.input, F_SETPIPE_SZ, min(len(data), PIPE_BYTES))
        self._feed()
        try:
            socket.send_fds(self.control, [json.dumps(self.request).encode()], self.theirs)
        except OSError as error:
            raise MachineError("the judge's helper process died") from error
        for fd in self.theirs:
            os.close(fd)
        self.theirs = []

    def drive(self, until_report: bool = False) -> None:
        """Move data both ways until the child and all it started have ended, or until it reports."""
        while self.ended is None and not (until_report and self.reports and self.pid):
            poller = select.poll()
            poller.register(self.control, select.POLLIN)
            for fd in self.open - {self.input}:
                poller.register(fd, select.POLLIN)
            if self.todo and self.input in self.open:
                poller.register(self.input, select.POLLOUT)
            ready = [fd for fd, _ in poller.poll(max(0.0, self.deadline - time.monotonic()) * 1000)]
            if not ready:
                raise MachineError("the judge's helper process hangs")
            for fd in ready:
                self._serve(fd)
        if self.ended is not None:  # nobody is left to write: what the pipes hold is all there is
            for fd in self.open - {self.input}:
                while fd in self.open and self._read(fd):
                    pass

    def take_report(self) -> dict:
        """The child's next report; empty when it made none, or none that can be read."""
        line, _, rest = self.report.partition(b"\n")
        self.report, self.reports = rest, max(0, self.reports - 1)
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        return report if isinstance(report, dict) else {}

    def cpu(self) -> float:
        """CPU seconds used so far; once it has ended, also by the processes it started and waited for."""
        return self.ended["cpu"] if self.ended else cpu_seconds(self.pid)

    def reason(self, report: dict, seconds: float) -> str:
        """Why the test is not passed, as far as running it tells; "" when it ended well or returned a value.

        report: what `take_report` gave for it; seconds: its CPU time.
        """
        ended, error, name = self.ended or {}, report.get("error"), str(report.get("name"))[:80]
        if self.too_much:
            return OUTPUT_LIMIT
        if ended.get("limit") in ("cpu", "wall") or seconds > self.request["timeout"]:
            return TIME_LIMIT
        if error in (SYNTAX_ERROR, MISSING_FUNCTION):
            return error
        if error == "exception":
            return MEMORY_LIMIT if name == "MemoryError" else f"{RUNTIME_ERROR}: {name}"
        if "value" in report:
            return ""
        return (
            _bad_end(ended["status"], self.request["function"]) if ended else f"{RUNTIME_ERROR}: bad result"
        )

    def _serve(self, fd: int) -> None:
        if fd == self.input:
            self._feed()
        elif fd in self.open:
            self._read(fd)
        else:
            self._listen()

    def _feed(self) -> None:
        try:
            while self.todo:
                self.todo = self.todo[os.write(self.input, self.todo) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the program does not want the rest
            self.todo = memoryview(b"")
        if self.request["function"] is None:
            self._close(self.input)

    def _read(self, fd: int) -> bool:
        """Take what a pipe holds; whether there may be more."""
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._close(fd)
            return False
        if self.too_much:
            return True
        if fd == self.report_end:
            self.report += data
            self.reports += data.count(b"\n")
        else:
            self.output += data
        if len(self.output) + len(self.report) > OUTPUT_BYTES:
            self.too_much = True
            self._tell("kill")
        return True

    def _close(self, fd: int) -> None:
        self.open.remove(fd)
        os.close(fd)

    def _tell(self, what: str) -> None:
        try:
            self.control.send(json.dumps({"do": what}).encode())
        except OSError as error:
            raise MachineError("the judge's helper process died") from error

    def _listen(self) -> None:
        try:
            message = self.control.recv(1 << 16)
        except OSError:
            message = b""
        if not message:
            raise MachineError("the judge's helper process died")
        news = json.loads(message)
        if "pid" in news:
            self.pid = news["pid"]
        else:
            self.ended = news

    def _kill_orphans(self) -> None:
        """The warm process cannot any more: the child dies with it, this is for what the child started."""
        if self.pid is None or self.ended is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def remove_folder(folder: Path) -> None:
    """Remove a folder whatever is in it, also folders that were made unreadable."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for parent, names, _ in os.walk(folder):
            for path in [Path(parent, name) for name in names]:
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used, all its threads together (see clock_getcpuclockid(3)); 0 if it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _bad_end(status: int, function: str | None) -> str:
    """The reason for a wait status; "" for the good end of a program that had no function to be called."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:  # not by the judge: most likely the machine had no memory left
        raise MachineError("something outside killed the program")
    if code == -signal.SIGXCPU:
        return TIME_LIMIT
    if code < 0:
        names = {member.value: member.name for member in signal.Signals}
        return f"{RUNTIME_ERROR}: {names.get(-code, f'signal {-code}')}"
    return "" if code == 0 and function is None else f"{RUNTIME_ERROR}: exit status {code}"
