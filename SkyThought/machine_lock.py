"""Judging alone: locks by which the judges of a machine leave one of them the machine to itself for a moment.

A busy machine makes programs take more CPU time (shared caches, two threads on a core), so a test that ends near its
limit is judged again while no other test runs. Whoever runs a program holds the shared lock; the one that wants to be
alone first closes the gate, so that no new program starts, and waits until the running ones have ended. The locks are
files in the machine's temporary folder, one pair a user, so they also hold between two runs.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_LOAD = 1.5  # processes that want a core, the mean of a minute: from here on the machine is busy


class Machine:
    """One judge's share of the machine; not for two threads at a time."""

    def __init__(self) -> None:
        prefix = Path(tempfile.gettempdir()) / f".judge-{os.getuid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._gate, self._running = (os.open(f"{prefix}.{name}.lock", flags, 0o600) for name in ("gate", "running"))

    def close(self) -> None:
        """Give up the locks."""
        os.close(self._gate)
        os.close(self._running)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While a program runs beside others."""
        with _locked(self._gate, fcntl.LOCK_SH):
            fcntl.flock(self._running, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._running, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside of `shared`: while no other program of this user's judges runs."""
        fcntl.flock(self._running, fcntl.LOCK_UN)
        with _locked(self._gate, fcntl.LOCK_EX), _locked(self._running, fcntl.LOCK_EX):
            yield
        fcntl.flock(self._running, fcntl.LOCK_SH)

    def is_busy(self) -> bool:
        """Whether something else may be running: another judge, or whatever makes the machine's load."""
        if os.getloadavg()[0] > BUSY_LOAD:
            return True
        try:
            fcntl.flock(self._running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._running, fcntl.LOCK_SH)  # the attempt to change it may have given it up
            return True
        fcntl.flock(self._running, fcntl.LOCK_SH)
        return False


@contextmanager
def _locked(file: int, kind: int) -> Iterator[None]:
    fcntl.flock(file, kind)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
