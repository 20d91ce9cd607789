"""The warm process at work: forks a child for each test of a program, watches it and says how it ended.

What it says to the judge, and hears, is in `messages`. It never sees an expected output, nor what a program prints or
returns. A program is read and compiled in the child of its first test, before it runs; the children of later tests
find the code in a file in memory. So nothing of a program is executed, or parsed, or even kept in this process.
"""

import os
import select
import signal
import socket
import time
from fcntl import F_GETPIPE_SZ, fcntl
from typing import NamedTuple

from SkyThought.sandbox import messages
from SkyThought.sandbox.child_process import REPORT_FD, Interpreter
from SkyThought.sandbox.layers import FOLDER_BYTES, Sandbox

MOST_THREADS = 256
SMALLEST_PIPE = 4096  # what any pipe holds
QUICK_SECONDS = 0.003  # until then nothing but the child's end is looked at
LOOK_SECONDS = 0.1  # longest time between two looks at a child
_CHILD_ENDED = {signal.SIGCHLD}


class Ended(NamedTuple):
    """How a child ended: its wait status, CPU seconds and the limit it met (see `messages`)."""

    status: int
    cpu: float
    limit: bytes


class Clock:
    """The time of a child, or of its present call."""

    def __init__(self, pid: int, cpu_limit: float, wall_limit: float):
        self.pid, self.cpu_limit, self.wall_limit = pid, cpu_limit, wall_limit
        self.started, self.cpu_before, self.waited_before = time.monotonic(), 0.0, 0.0

    def restart(self) -> float:
        """A new call begins, with its whole time again; CPU seconds since the last restart."""
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


class Supervisor:
    """Runs one program after another. control: the judge's socket; interpreter: what the children run programs in."""

    def __init__(self, control: socket.socket, sandbox: Sandbox, interpreter: Interpreter):
        self.control, self.sandbox, self.interpreter = control, sandbox, interpreter
        os.chdir(sandbox.folder)
        signal.pthread_sigmask(signal.SIG_BLOCK, _CHILD_ENDED)

    def serve(self) -> None:
        """Run tests until the judge is gone. Raises OSError then, or returns."""
        start = 1 + messages.LIMITS.size
        while True:
            message, files = messages.receive(self.control)
            kind = message[:1]
            if kind == messages.TEST:
                source = files[1] if len(files) > 1 else piped(message[start:])
                pid = os.fork()
                if pid == 0:
                    self.interpreter.run(source, files[0])
                self._finish(pid, messages.LIMITS.unpack(message[1:start]), source, files[0])
            elif kind == messages.CALLS:
                pid = os.fork()
                if pid == 0:
                    self.interpreter.serve_calls(files[0], message[start:].decode("utf-8", "surrogatepass"))
                self._finish(pid, messages.LIMITS.unpack(message[1:start]), files[0])
            elif kind == messages.PROGRAM:
                self._take_program(*files)
            elif not message:
                return

    def _take_program(self, source: int, reports: int) -> None:
        os.dup2(reports, REPORT_FD)
        os.close(reports)
        self.interpreter.take(source)

    def _finish(self, pid: int, limits: tuple[float, float], *files: int) -> None:
        """See a child to its end, and say how it was."""
        for file in files:
            os.close(file)
        ended = self._wait_briefly(pid) or self._watch(Clock(pid, *limits))
        if not self.interpreter.is_laid_out():  # for the next test
            self.interpreter.lay_out()
        messages.send(self.control, messages.ENDED + messages.RESULT.pack(*ended))

    def _wait_briefly(self, pid: int) -> Ended | None:
        """How a child ended that ends soon, as most do; None if it does not."""
        while signal.sigtimedwait(_CHILD_ENDED, QUICK_SECONDS) is not None:
            gone, status, usage = os.wait4(pid, os.WNOHANG)
            if gone:  # otherwise it was the signal of a child before
                self._kill_rest()
                return Ended(status, usage.ru_utime + usage.ru_stime, messages.NO_LIMIT)
        return None

    def _watch(self, clock: Clock) -> Ended:
        """Wait until a child has ended, or end it."""
        descriptor = os.pidfd_open(clock.pid)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.register(self.control, select.POLLIN)
        limit_met, wait = messages.NO_LIMIT, 0.0
        while limit_met == messages.NO_LIMIT:
            ready = [number for number, _ in poller.poll(1000 * wait)]
            if descriptor in ready:
                break
            if self.control.fileno() in ready and not self._hear(clock):
                break
            limit_met, wait = self._look(clock)
        os.close(descriptor)
        return self._end(clock.pid, limit_met)

    def _hear(self, clock: Clock) -> bool:
        """What the judge says while a child runs: whether it is to go on."""
        message, _ = messages.receive(self.control)
        if message[:1] != messages.NEXT:
            return False
        messages.send(self.control, messages.USED + messages.SECONDS.pack(clock.restart()))
        return True

    def _look(self, clock: Clock) -> tuple[bytes, float]:
        """The limit a running child has met, and seconds until the next look."""
        cpu, wall = clock.seconds_left()
        if cpu <= 0:
            return messages.CPU, 0
        if wall <= 0:
            return messages.WALL, 0
        if threads(clock.pid) > MOST_THREADS:
            return messages.THREADS, 0
        if "namespaces" not in self.sandbox.on and folder_bytes(".") > FOLDER_BYTES:
            return messages.DISK, 0
        return messages.NO_LIMIT, max(0.001, min(cpu, wall, LOOK_SECONDS))

    def _end(self, pid: int, limit_met: bytes) -> Ended:
        gone, status, usage = os.wait4(pid, os.WNOHANG)
        if gone == 0:
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
        self._kill_rest()
        return Ended(status, usage.ru_utime + usage.ru_stime, limit_met)

    def _kill_rest(self) -> None:
        """End what a program left behind, where it could start processes."""
        if not self.sandbox.forbids_processes:
            kill_children()


def piped(stdin: bytes) -> int:
    """A descriptor of a pipe that holds a short input whole; of a file where the user's share of pipes is used up."""
    source, ours = os.pipe()
    try:
        if len(stdin) > SMALLEST_PIPE and len(stdin) > fcntl(ours, F_GETPIPE_SZ):  # others hold large pipes
            os.close(source)
            return messages.memory_file(stdin)
        if stdin:
            os.write(ours, stdin)
    finally:
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
