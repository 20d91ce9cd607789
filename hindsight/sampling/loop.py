"""The loop of the two sampling scripts: asks for every missing sample and gives each answer to its script to write.

The script writes each answer in the event loop, between requests. Threads would make the client slower: with a fast
disk, handing a record to a thread costs more than writing it.
"""

import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from tqdm import tqdm

from hindsight.errors import require
from hindsight.files.sample_locks import SampleLocks
from hindsight.sampling.progress import Progress
from hindsight.sampling.samples import MissingSamples, Sample
from hindsight.servers.job_queue import Failures, JobQueue, Route


class SamplingLoop:
    """Asks for the missing samples of a folder, `concurrency` at a time on each route of servers.

    A sample that fails is counted in `failures` and has no file, so the next run tries it again.
    """

    def __init__(self, missing: MissingSamples, routes: Sequence[Route], concurrency: int):
        require(concurrency > 0, f"CONCURRENCY is at least 1, not {concurrency}")
        self.missing, self.routes, self.concurrency = missing, routes, concurrency
        self.failures, self.gave_up = Failures(), ""
        self.still_missing = len(missing) + len(missing.broken)
        self._counts: dict[str, Any] = {"written": 0}

    async def answers(
        self, answer: Callable[..., Awaitable[dict[str, Any]]]
    ) -> AsyncGenerator[tuple[Sample, dict[str, Any]], None]:
        """Yields each sample with its record, for the caller to write; `answer(sample, *servers)` makes a record.

        Use it with `contextlib.aclosing`, so that all requests end before the servers are closed. Skips samples that
        other processes are making in the same folder.
        """
        total = len(self.missing)
        if not total:
            return
        gc.collect()
        gc.freeze()  # the collector skips all objects that exist by now
        with SampleLocks(self.missing.folder) as locks, tqdm(total=total, unit="sample", smoothing=0.05) as bar:
            queue = JobQueue(self.routes, self.concurrency, bar.write)
            progress = Progress(bar, self.failures, self.concurrency * len(self.routes))
            async with aclosing(queue.run(self.missing.take(locks), answer)) as finished:
                async for each in finished:
                    if each.failure:
                        self.failures.add(each.job.name, each.failure)
                    else:
                        yield each.job, each.result
                        progress.add(each.result)
                    locks.release(each.job.problem["question_id"], each.job.sample_index)
                    progress.step()
            self.gave_up, self._counts = queue.gave_up, progress.counts()
        self.still_missing = self.missing.count_again() + len(self.missing.broken)

    def counts(self) -> dict[str, Any]:
        """What `run.json` records at the end of a run."""
        return {"missing": self.still_missing, "failed": self.failures.counts(), **self._counts}

    def report(self) -> Iterator[str]:
        """How many samples were written and are missing, then a sentence per reason why some are missing."""
        yield f"{self._counts['written']} samples written, {self.still_missing} missing"
        if self.failures:
            yield self.failures.report()
        if self.gave_up:
            yield f"{self.gave_up}; run again to resume"
        if self.missing.with_others:
            yield f"{len(self.missing.with_others)} samples were left to another process that works in this folder"
        for path in self.missing.broken:
            yield f"{path} is not whole JSON: delete it to have it sampled again"
