"""A time limit that gives the same verdicts on a busy machine as on an idle one.

On a busy machine programs take more CPU time (shared caches, two threads per core), so a test that ends near its limit
is run again while no other test runs. Whoever runs a program holds the `running` file shared. A judge that wants
exclusive use first locks the `gate` file, which keeps new programs from starting, then waits until the running ones
end. The files lie in the machine's temporary folder, one pair per user, so two scripts share them.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hindsight.files.verdicts import RUNTIME_ERROR, TIME_LIMIT

BUSY_FACTOR = 1.5  # on a busy machine the limit is this much longer; what ends beyond the limit is run again alone
ATTEMPTS_ALONE = 3  # other work than judging cannot be stopped, so the best of this many attempts counts
KILLED = f"{RUNTIME_ERROR}: SIGKILL"  # by the program, or by a machine without memory: run again alone

BUSY_LOAD = 1.5  # processes that want a core, averaged over a minute: above this the machine is busy

Result = TypeVar("Result")


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


@dataclass(frozen=True)
class TimeLimit:
    """seconds: of CPU time per test; lock: of the machine, held shared while a program runs."""

    seconds: float
    lock: MachineLock

    def enforce(self, run: Callable[[float], Result], ending: Callable[[Result], tuple[str, float]]) -> Result:
        """The result of `run(limit in seconds)`; run again alone where the machine may be to blame for how it ended.

        ending: the reason ("" when it ended well) and the CPU seconds of a result.
        """
        limit = BUSY_FACTOR * self.seconds if self.lock.machine_is_busy() else self.seconds
        result = run(limit)
        if self._machine_may_be_to_blame(*ending(result), limit):
            for _ in range(ATTEMPTS_ALONE):
                with self.lock.exclusive():
                    result = run(self.seconds)
                if ending(result)[0] != TIME_LIMIT:
                    break
        return result

    def _machine_may_be_to_blame(self, reason: str, seconds: float, limit: float) -> bool:
        """Whether the program was killed, or took more time than it may have needed on an idle machine."""
        if reason == TIME_LIMIT:
            return limit == self.seconds and self.lock.machine_is_busy()
        return reason == KILLED or seconds > self.seconds
