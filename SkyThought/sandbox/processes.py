"""What the kernel tells about a child: its time, its threads, its own children."""

import fcntl
import os
import signal
import struct
import termios
import time
from contextlib import suppress


class ChildTimer:
    """Measures a child, or its present call, against the limits in CPU and wall seconds.

    pipe: what the judge reads from the child. While something in it is unread, the child may wait for the judge.
    restarts: how many times the judge has set the limits of a new call. The child does not wait for them, so it may
    already be in a later call.
    """

    def __init__(self, pid: int, cpu_limit: float, wall_limit: float, pipe: int):
        self.pid, self.pipe = pid, pipe
        self.cpu_before, self.restarts = 0.0, 0
        self._waits: dict[str, float] = {}
        self._begin(cpu_limit, wall_limit)

    def restart(self, cpu_limit: float, wall_limit: float, cpu_before: float) -> float:
        """Start a new call with its own limits; returns the child's CPU seconds so far.

        cpu_before: those of the calls that have returned.
        """
        cpu = cpu_seconds(self.pid)
        self.cpu_before, self.restarts = min(cpu, cpu_before), self.restarts + 1
        self._begin(cpu_limit, wall_limit)
        return cpu

    def _begin(self, cpu_limit: float, wall_limit: float) -> None:
        self.cpu_limit, self.wall_limit = cpu_limit, wall_limit
        self.started = self.looked = time.monotonic()
        self.unread, self.waited_before = 0.0, self._seconds_waited()

    def seconds_left(self) -> tuple[float, float]:
        """CPU and wall seconds left. Time spent waiting for a core or for the judge does not count as wall time."""
        before, self.looked = self.looked, time.monotonic()
        self.unread += (self.looked - before) * (unread_bytes(self.pipe) > 0)
        waited = self._seconds_waited() - self.waited_before
        wall = self.looked - self.started - self.unread
        if wall > self.wall_limit:
            wall -= waited
        return self.cpu_limit - (cpu_seconds(self.pid) - self.cpu_before), self.wall_limit - wall

    def _seconds_waited(self) -> float:
        """Wall time that the child's threads, also those that have ended, spent ready to run without a core."""
        self._waits |= seconds_waited(self.pid)
        return sum(self._waits.values())


def unread_bytes(pipe: int) -> int:
    """How much of what was written into a pipe nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads (see clock_getcpuclockid(3)); 0 if it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def seconds_waited(pid: int) -> dict[str, float]:
    """Wall time that each thread of a process spent ready to run without a core; empty where that is not counted."""
    waits = {}
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError, IndexError), open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                waits[thread] = int(file.read().split()[1]) / 1e9
    return waits


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
