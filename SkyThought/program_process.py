"""A program's process: compiles the program once, forks a child for each test, watches it and says how it ended.

It is a fork of the warm process and the parent of the children the program runs in; what it says to the judge, and
hears, is in `messages`. It never sees an expected output.
"""

import gc
import json
import os
import select
import signal
import socket
import time
from typing import Any, NamedTuple, NoReturn

from SkyThought import child_process, messages
from SkyThought.child_process import REPORT_FD
from SkyThought.sandbox import FOLDER_BYTES, Sandbox, empty_folder, limit

OUTPUT_BYTES = 64 << 20  # most a program may print, or its function return, in a test
MOST_THREADS = 256
SHORT_BYTES = 4096  # of output: more is read in a second piece
QUICK_SECONDS = 0.003  # until then nothing but the child's end is looked at
_CHILD_ENDED = {signal.SIGCHLD}
LOOK_SECONDS = 0.1  # longest time between two looks at a child


class Ended(NamedTuple):
    """How a child ended: its wait status, CPU seconds and the limit it met (see `messages`)."""

    status: int
    cpu: float
    limit: bytes


class Child:
    """One child while it runs. `started` is when it was forked, or when its present call began."""

    def __init__(self, pid: int, output: int, cpu_limit: float, wall_limit: float):
        self.pid, self.output, self.cpu_limit, self.wall_limit = pid, output, cpu_limit, wall_limit
        self.started, self.cpu_before, self.waited_before = time.monotonic(), 0.0, 0.0
        self.printed: list[bytes] = []
        self.size = 0

    def begin_call(self) -> float:
        """A new call begins, with its whole time again; CPU seconds of the one before."""
        cpu = cpu_seconds(self.pid)
        used, self.cpu_before = cpu - self.cpu_before, cpu
        self.started, self.waited_before = time.monotonic(), seconds_waited(self.pid)
        return max(0.0, used)

    def seconds_left(self) -> tuple[float, float]:
        """CPU and wall seconds left. Time spent waiting for a core is not the program's."""
        wall = time.monotonic() - self.started
        if wall > self.wall_limit:
            wall -= seconds_waited(self.pid) - self.waited_before
        return self.cpu_limit - (cpu_seconds(self.pid) - self.cpu_before), self.wall_limit - wall

    def read(self, descriptor: int, into: list[bytes]) -> bool:
        """Take what a pipe holds; whether it may get more."""
        while True:
            try:
                data = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.size += len(data)
            if self.size <= OUTPUT_BYTES:
                into.append(data)
            elif self.size > OUTPUT_BYTES + (1 << 20):
                return True  # too much: it is ended for that


class ProgramProcess:
    """The loop of a program's process.

    request: `function` (its name, None for standard input), `memory` in bytes, `cpu_seconds` for a test at most.
    """

    def __init__(self, control: socket.socket, sandbox: Sandbox, request: dict[str, Any], source: str):
        self.control, self.sandbox, self.request = control, sandbox, request
        os.chdir(sandbox.folder)
        self.reports, theirs = os.pipe()
        os.set_blocking(self.reports, False)
        os.dup2(theirs, REPORT_FD)
        os.close(theirs)
        limit(request["memory"], request["cpu_seconds"])
        signal.pthread_sigmask(signal.SIG_BLOCK, _CHILD_ENDED)
        self.program = child_process.Program(source, request["function"], sandbox)
        self.error = self.program.compile()
        gc.freeze()
        gc.enable()

    def serve(self) -> NoReturn:
        """Run tests until the judge says that there are no more, or is gone."""
        start = 1 + messages.TEST_LIMITS.size
        while True:
            message, file = messages.receive(self.control)
            kind = message[:1]
            if kind not in (messages.TEST, messages.CALLS):
                os._exit(0)
            limits = messages.TEST_LIMITS.unpack(message[1:start])
            if self.error:
                self._answer(Ended(1 << 8, 0.0, messages.NO_LIMIT), self.error, [])
            elif kind == messages.TEST:
                self._run(piped(message[start:]) if file is None else file, *limits)
            else:
                self._call(messages.memory_file(message[start:]) if file is None else file, *limits)

    def _run(self, source: int, cpu_limit: float, wall_limit: float) -> None:
        output, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.program.run(source, theirs)
        os.close(source)
        os.close(theirs)
        ended = self._wait_briefly(pid)
        if ended is None:
            child = Child(pid, output, cpu_limit, wall_limit)
            os.set_blocking(output, False)
            ended = self._watch(child, [])
            child.read(output, child.printed)
            printed = child.printed
        else:  # nobody is left to write: what the pipe holds is all there is
            printed = [os.read(output, SHORT_BYTES)]
            if len(printed[0]) == SHORT_BYTES:
                printed.append(os.read(output, 1 << 20))
        os.close(output)
        self._answer(ended, self._read_report() if ended.status else b"", printed)

    def _call(self, source: int, cpu_limit: float, wall_limit: float) -> None:
        pid = os.fork()
        if pid == 0:
            self.program.serve_calls(source)
        os.close(source)
        lines: list[bytes] = []
        ended = self._wait_briefly(pid)
        if ended is None:
            ended = self._watch(Child(pid, self.reports, cpu_limit, wall_limit), lines)
        self._answer(ended, b"".join(lines) + self._read_report(), [])

    def _wait_briefly(self, pid: int) -> Ended | None:
        """How a child ended that ends soon, as most do; None if it does not."""
        while signal.sigtimedwait(_CHILD_ENDED, QUICK_SECONDS) is not None:
            gone, status, usage = os.wait4(pid, os.WNOHANG)
            if gone:  # otherwise it was the signal of a child before
                self._kill_rest()
                return Ended(status, usage.ru_utime + usage.ru_stime, messages.NO_LIMIT)
        return None

    def _kill_rest(self) -> None:
        """End what a program left behind, where it could start processes."""
        if not self.sandbox.forbids_processes:
            kill_children()

    def _watch(self, child: Child, lines: list[bytes]) -> Ended:
        """Wait until a child has ended, or end it; what it prints, or reports of its calls, is taken meanwhile."""
        descriptor = os.pidfd_open(child.pid)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.register(self.control, select.POLLIN)
        poller.register(child.output, select.POLLIN)
        limit_met, wait = messages.NO_LIMIT, 0.0
        while limit_met == messages.NO_LIMIT:
            ready = [number for number, _ in poller.poll(1000 * wait)]
            if descriptor in ready or self.control.fileno() in ready:  # the judge has seen enough, or is gone
                break
            if child.output in ready and not child.read(child.output, child.printed):
                poller.unregister(child.output)
            if child.output == self.reports:
                self._pass_on(child, lines)
            limit_met, wait = self._look(child)
        os.close(descriptor)
        return self._end(child, limit_met)

    def _look(self, child: Child) -> tuple[bytes, float]:
        """The limit a running child has met, and seconds until the next look."""
        cpu, wall = child.seconds_left()
        if cpu <= 0:
            return messages.CPU, 0
        if wall <= 0:
            return messages.WALL, 0
        if child.size > OUTPUT_BYTES:
            return messages.OUTPUT, 0
        if threads(child.pid) > MOST_THREADS:
            return messages.THREADS, 0
        if "namespaces" not in self.sandbox.on and folder_bytes(".") > FOLDER_BYTES:
            return messages.DISK, 0
        return messages.NO_LIMIT, max(0.001, min(cpu, wall, LOOK_SECONDS))

    def _pass_on(self, child: Child, lines: list[bytes]) -> None:
        """Send the judge the calls that have returned; the rest of a line stays in `lines`."""
        text = b"".join([*lines, *child.printed])
        whole, newline, rest = text.rpartition(b"\n")
        child.printed.clear()
        lines[:] = [rest]
        if newline:
            seconds = child.begin_call()
            self._send(messages.RETURNED + messages.SECONDS.pack(seconds), whole)

    def _end(self, child: Child, limit_met: bytes) -> Ended:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:
            os.kill(child.pid, signal.SIGKILL)
            _, status, usage = os.wait4(child.pid, 0)
        self._kill_rest()
        return Ended(status, usage.ru_utime + usage.ru_stime, limit_met)

    def _answer(self, ended: Ended, report: bytes, output: list[bytes]) -> None:
        if os.listdir("."):  # for the next test
            empty_folder(self.sandbox.folder)
        head = messages.RESULT.pack(ended.status, ended.cpu, ended.limit, len(report))
        self._send(messages.ENDED + head, report, *output)

    def _send(self, head: bytes, *body: bytes) -> None:
        try:
            messages.send(self.control, head, *body)
        except OSError:  # the judge is gone
            os._exit(0)

    def _read_report(self) -> bytes:
        """What the report pipe holds."""
        parts: list[bytes] = []
        Child(0, self.reports, 0, 0).read(self.reports, parts)
        return b"".join(parts)


def piped(stdin: bytes) -> int:
    """A descriptor of a pipe that holds a short input whole."""
    source, ours = os.pipe()
    if stdin:
        os.write(ours, stdin)
    os.close(ours)
    return source


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used, all its threads together (see clock_getcpuclockid(3)); 0 if it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def seconds_waited(pid: int) -> float:
    """Wall time a process spent ready to run with no core to run on; 0 where the kernel does not count it."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def threads(pid: int) -> int:
    """The number of a process's threads; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[17])
    except (OSError, IndexError):
        return 0


def folder_bytes(folder: str) -> int:
    """What the files in a folder take; a folder or file that cannot be looked at counts as nothing."""
    total = 0
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                total += 4096 + folder_bytes(entry.path)
            else:
                total += 4096 + entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total


def kill_children() -> None:
    """Kill and reap every process that is left; killing one makes its children this process's, their subreaper."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                for child in file.read().split():
                    os.kill(int(child), signal.SIGKILL)
            os.waitpid(-1, 0)


def parse_request(message: bytes) -> tuple[dict[str, Any], str]:
    """A PROGRAM message: the request and the program's text."""
    head, _, source = message[1:].partition(b"\n")
    return json.loads(head), source.decode("utf-8", "surrogatepass")
