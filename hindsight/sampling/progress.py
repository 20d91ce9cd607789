"""The progress bar of a sampling run, its estimate of the time left, and the counts that `run.json` records."""

import time
from typing import Any

from tqdm import tqdm

from hindsight.servers.job_queue import Failures

ESTIMATE_SECONDS = 60  # after this time, the time left is estimated once


class Progress:
    """Shows failures, tokens per second, mean length and the share cut off by length. `at_once`: answers in flight."""

    def __init__(self, bar: tqdm, failures: Failures, at_once: int):
        self.bar, self.failures, self.at_once = bar, failures, at_once
        self.written = self.tokens = self.uncounted = self.cut = 0
        self._started, self._estimated = time.monotonic(), False

    def counts(self) -> dict[str, Any]:
        """What `run.json` records of the work; the seconds run from the first request to the last answer."""
        seconds = round(time.monotonic() - self._started, 1)
        uncounted = {"without_tokens": self.uncounted} if self.uncounted else {}  # answers without a count
        counts = {"written": self.written, "completion_tokens": self.tokens, **uncounted, "cut_off": self.cut}
        return {**counts, "seconds": seconds}

    def add(self, record: dict[str, Any]) -> None:
        """Counts a written answer."""
        self.written += 1
        self.tokens += record["usage"].get("completion_tokens", 0)
        self.uncounted += "completion_tokens" not in record["usage"]
        self.cut += record["finish_reason"] == "length"

    def step(self) -> None:
        """Moves the bar by one sample, written or failed."""
        seconds = time.monotonic() - self._started
        written = max(self.written, 1)
        self.bar.set_postfix_str(
            f"{len(self.failures)} failed, {self.tokens / max(seconds, 1e-9):,.0f} tokens/s, "
            f"{self.tokens / written:.0f} per sample, {self.cut / written:.0%} cut off",
            refresh=False,
        )
        self.bar.update()
        if not self._estimated and seconds > ESTIMATE_SECONDS and self.bar.n >= min(self.at_once, self.bar.total):
            self._estimated = True
            left = (self.bar.total - self.bar.n) * seconds / self.bar.n
            self.bar.write(f"{self.bar.n} samples in {seconds:.0f} s: about {duration(left)} left")


def duration(seconds: float) -> str:
    """Seconds in the units a person would use: 45 s, 12 min, 3 h 20 min, 2 d 5 h."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
