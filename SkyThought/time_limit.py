"""A time limit that gives the same verdicts on a busy machine as on an idle one.

On a busy machine programs take more CPU time (shared caches, two threads per core), so a test that ends near its limit
is run again while no other test runs (see `machine_lock`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hindsight.files.verdicts import RUNTIME_ERROR, TIME_LIMIT
from SkyThought.machine_lock import MachineLock

BUSY_FACTOR = 1.5  # on a busy machine the limit is this much longer; what ends beyond the limit is run again alone
ATTEMPTS_ALONE = 3  # other work than judging cannot be stopped, so the best of this many attempts counts
KILLED = f"{RUNTIME_ERROR}: SIGKILL"  # by the program, or by a machine without memory: run again alone

Result = TypeVar("Result")


@dataclass(frozen=True)
class TimeLimit:
    """seconds: of CPU time per test; lock: of the machine, held shared while a program runs."""

    seconds: float
    lock: MachineLock

    def enforce(self, run: Callable[[float], Result], ending: Callable[[Result], tuple[str, float]]) -> Result:
        """The result of `run(limit in seconds)`; run again alone if the machine may be to blame for how it ended.

        ending: the reason ("" if it ended normally) and the CPU seconds of a result.
        """
        self.lock.give_way()
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
        """Whether the program was killed, or might have kept its limit on an idle machine."""
        if reason == TIME_LIMIT:
            return limit == self.seconds and self.lock.machine_is_busy()
        return reason == KILLED or seconds > self.seconds
