"""A lock by which one judge gets the machine to itself for a moment.

On a busy machine programs take more CPU time (shared caches, two threads per core), so a test that ends near its limit
is run again while no other test runs; see `time_limit`. Whoever runs a program holds the `running` file shared. A judge
that wants exclusive use first locks the `gate` file, which keeps new programs from starting, then waits until the
running ones end. The files lie in the machine's temporary folder, one pair per user, so two scripts share them.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_LOAD = 1.5  # processes that want a core, averaged over a minute: above this the machine is busy


class MachineLock:
    """One judge's hold on the lock; not for two threads at a time."""

    def __init__(self) -> None:
        prefix = Path(tempfile.gettempdir()) / f".judge-{os.getuid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._gate, self._running = (os.open(f"{prefix}.{name}.lock", flags, 0o600) for name in ("gate", "running"))

    def close(self) -> None:
        """Close the files, which releases the lock."""
        os.close(self._gate)
        os.close(self._running)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold while a program runs, beside others."""
        with _locked(self._gate, fcntl.LOCK_SH):
            fcntl.flock(self._running, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._running, fcntl.LOCK_UN)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Inside `shared`: hold while no other program of this user's judges runs."""
        fcntl.flock(self._running, fcntl.LOCK_UN)
        with _locked(self._gate, fcntl.LOCK_EX), _locked(self._running, fcntl.LOCK_EX):
            yield
        fcntl.flock(self._running, fcntl.LOCK_SH)

    def machine_is_busy(self) -> bool:
        """Inside `shared`: whether another judge runs a program, or the machine's load is high."""
        if os.getloadavg()[0] > BUSY_LOAD:
            return True
        try:
            fcntl.flock(self._running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._running, fcntl.LOCK_SH)  # the failed attempt may have released it
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
