"""The warm process at work: forks a child for each test of a program, watches it and says how it ended.

What it says to the judge, and hears, is in `messages`. It never sees an expected output. A program is compiled in the
child of its first test, before it runs; the children of later tests get the code that came out, so nothing of a program
is ever executed, or even parsed, in this process.
"""

import json
import os
import select
import signal
import socket
import time
from typing import NamedTuple

from SkyThought import messages
from SkyThought.child_process import CODE_LINE, REPORT_FD, Interpreter
from SkyThought.sandbox import FOLDER_BYTES, Sandbox, empty_folder

OUTPUT_BYTES = 64 << 20  # most a program may print, or its function return, in a test
MOST_THREADS = 256
SHORT_BYTES = 4096  # of output: more is read in further pieces
QUICK_SECONDS = 0.003  # until then nothing but the child's end is looked at
LOOK_SECONDS = 0.1  # longest time between two looks at a child
_CHILD_ENDED = {signal.SIGCHLD}


class Ended(NamedTuple):
    """How a child ended: its wait status, CPU seconds and the limit it met (see `messages`)."""

    status: int
    cpu: float
    limit: bytes


class Child:
    """One child while it runs that did not end at once; `pipe` is what it prints to, or reports its calls to."""

    def __init__(self, pid: int, pipe: int, cpu_limit: float, wall_limit: float):
        self.pid, self.pipe, self.cpu_limit, self.wall_limit = pid, pipe, cpu_limit, wall_limit
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

    def read(self) -> bool:
        """Take what the pipe holds; whether it may get more."""
        while True:
            try:
                data = os.read(self.pipe, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.size += len(data)
            if self.size <= OUTPUT_BYTES:
                self.printed.append(data)
            elif self.size > OUTPUT_BYTES + (1 << 20):
                return True  # too much: it is ended for that


class Supervisor:
    """Runs one program after another. control: the judge's socket; interpreter: what the children run programs in."""

    def __init__(self, control: socket.socket, sandbox: Sandbox, interpreter: Interpreter):
        self.control, self.sandbox, self.interpreter = control, sandbox, interpreter
        self.reports, theirs = os.pipe()
        os.set_blocking(self.reports, False)
        os.dup2(theirs, REPORT_FD)
        os.close(theirs)
        os.chdir(sandbox.folder)
        signal.pthread_sigmask(signal.SIG_BLOCK, _CHILD_ENDED)

    def serve(self) -> None:
        """Run tests until the judge is gone. Raises OSError then, or returns."""
        start = 1 + messages.TEST_LIMITS.size
        while True:
            message, file = messages.receive(self.control)
            kind = message[:1]
            if kind == messages.TEST:
                limits = messages.TEST_LIMITS.unpack(message[1:start])
                self._run(piped(message[start:]) if file is None else file, *limits)
            elif kind == messages.CALLS:
                limits = messages.TEST_LIMITS.unpack(message[1:start])
                self._call(messages.memory_file(message[start:]) if file is None else file, *limits)
            elif kind == messages.PROGRAM:
                self._take_program(message if file is None else message + messages.read_file(file))
            elif not message:
                return

    def _take_program(self, message: bytes) -> None:
        head, _, source = message[1:].partition(b"\n")
        request = json.loads(head)
        self.interpreter.take(source.decode("utf-8", "surrogatepass"), request["function"], request["tests"])
        self._read_reports()  # of programs that wrote to the pipe themselves

    def _run(self, source: int, cpu_limit: float, wall_limit: float) -> None:
        output, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.interpreter.run(source, theirs)
        os.close(source)
        os.close(theirs)
        ended = self._wait_briefly(pid)
        if ended is None:
            child = Child(pid, output, cpu_limit, wall_limit)
            os.set_blocking(output, False)
            ended = self._watch(child, [])
            child.read()
            printed = child.printed
        else:  # nobody is left to write: what the pipe holds is all there is
            printed = [os.read(output, SHORT_BYTES)]
            if len(printed[0]) == SHORT_BYTES:
                printed.append(os.read(output, 1 << 20))
        os.close(output)
        report = self._read_reports() if ended.status or self.interpreter.code is None else b""
        if report.startswith(CODE_LINE):
            line, _, report = report.partition(b"\n")
            self.interpreter.take_code(line)
        self._answer(ended, report, printed)

    def _call(self, source: int, cpu_limit: float, wall_limit: float) -> None:
        pid = os.fork()
        if pid == 0:
            self.interpreter.serve_calls(source)
        os.close(source)
        lines: list[bytes] = []
        ended = self._wait_briefly(pid)
        if ended is None:
            ended = self._watch(Child(pid, self.reports, cpu_limit, wall_limit), lines)
        self._answer(ended, b"".join(lines) + self._read_reports(), [])

    def _wait_briefly(self, pid: int) -> Ended | None:
        """How a child ended that ends soon, as most do; None if it does not."""
        while signal.sigtimedwait(_CHILD_ENDED, QUICK_SECONDS) is not None:
            gone, status, usage = os.wait4(pid, os.WNOHANG)
            if gone:  # otherwise it was the signal of a child before
                self._kill_rest()
                return Ended(status, usage.ru_utime + usage.ru_stime, messages.NO_LIMIT)
        return None

    def _watch(self, child: Child, lines: list[bytes]) -> Ended:
        """Wait until a child has ended, or end it; what it prints, or reports of its calls, is taken meanwhile."""
        descriptor = os.pidfd_open(child.pid)
        poller = select.poll()
        for watched in (descriptor, self.control.fileno(), child.pipe):
            poller.register(watched, select.POLLIN)
        limit_met, wait = messages.NO_LIMIT, 0.0
        while limit_met == messages.NO_LIMIT:
            ready = [number for number, _ in poller.poll(1000 * wait)]
            if descriptor in ready or self.control.fileno() in ready:  # the judge has seen enough, or is gone
                break
            if child.pipe in ready and not child.read():
                poller.unregister(child.pipe)
            if child.pipe == self.reports:
                self._pass_on(child, lines)
            limit_met, wait = self._look(child)
        os.close(descriptor)
        if child.pipe == self.reports:
            lines += child.printed
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
            messages.send(self.control, messages.RETURNED + messages.SECONDS.pack(seconds), whole)

    def _end(self, child: Child, limit_met: bytes) -> Ended:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:
            os.kill(child.pid, signal.SIGKILL)
            _, status, usage = os.wait4(child.pid, 0)
        self._kill_rest()
        return Ended(status, usage.ru_utime + usage.ru_stime, limit_met)

    def _kill_rest(self) -> None:
        """End what a program left behind, where it could start processes."""
        if not self.sandbox.forbids_processes:
            kill_children()

    def _answer(self, ended: Ended, report: bytes, output: list[bytes]) -> None:
        if os.listdir("."):  # for the next test
            empty_folder(self.sandbox.folder)
        head = messages.ENDED + messages.RESULT.pack(ended.status, ended.cpu, ended.limit, len(report))
        messages.send(self.control, head, report, *output)

    def _read_reports(self) -> bytes:
        """What the report pipe holds, no child being alive."""
        rest = Child(0, self.reports, 0, 0)
        rest.read()
        return b"".join(rest.printed)


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
