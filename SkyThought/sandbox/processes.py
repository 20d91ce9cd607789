"""What the kernel tells about a child: its time, its threads, its own children."""

import fcntl
import os
import signal
import struct
import termios
import time


class ChildTimer:
    """Measures a child, or its present call, against the limits in CPU and wall seconds.

    pipe: what the judge reads from the child. While something in it is unread, the judge is behind: the child may wait
    for it, or be in a later call than the one whose limits the judge has set last.
    """

    def __init__(self, pid: int, cpu_limit: float, wall_limit: float, pipe: int):
        self.pid, self.cpu_limit, self.wall_limit, self.pipe = pid, cpu_limit, wall_limit, pipe
        self.cpu_before = self.waited_before = self.unread = 0.0
        self.started = self.checked = time.monotonic()

    def restart(self, cpu_limit: float, wall_limit: float) -> float:
        """Start a new call with its own limits; returns the CPU seconds since the last restart."""
        self.cpu_limit, self.wall_limit = cpu_limit, wall_limit
        cpu = cpu_seconds(self.pid)
        used, self.cpu_before = cpu - self.cpu_before, cpu
        self.started = self.checked = time.monotonic()
        self.waited_before, self.unread = seconds_waited(self.pid), 0.0
        return max(0.0, used)

    def judge_is_behind(self) -> bool:
        """Whether something in the pipe is unread; if so, the time since the last look is not the child's."""
        before, self.checked = self.checked, time.monotonic()
        is_behind = unread_bytes(self.pipe) > 0
        self.unread += (self.checked - before) * is_behind
        return is_behind

    def seconds_left(self) -> tuple[float, float]:
        """CPU and wall seconds left. Time spent waiting for a core or for the judge does not count as wall time."""
        wall = time.monotonic() - self.started - self.unread
        if wall > self.wall_limit:
            wall -= seconds_waited(self.pid) - self.waited_before
        return self.cpu_limit - (cpu_seconds(self.pid) - self.cpu_before), self.wall_limit - wall


def unread_bytes(pipe: int) -> int:
    """How much of what was written into a pipe nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads (see clock_getcpuclockid(3)); 0 if it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def seconds_waited(pid: int) -> float:
    """Wall time a process spent ready to run without a core; 0 where the kernel does not count it."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def count_threads(pid: int) -> int:
    """The number of a process's threads; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[17])
    except (OSError, IndexError):
        return 0


def kill_children() -> None:
    """Kill and reap every child; as a subreaper this process then receives their children too."""
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
