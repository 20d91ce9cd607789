"""What the two sampling scripts do: check their servers, ask for every missing sample, and write each answer."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from hindsight.errors import require
from hindsight.files.records import write_json
from hindsight.files.runs import RunEntry
from hindsight.files.sample_locks import SampleLocks
from hindsight.sampling.progress import Progress
from hindsight.sampling.samples import MissingSamples
from hindsight.servers.checks import PromptedModel, check_models, example_prompts
from hindsight.servers.job_queue import Failures, JobQueue, Route


@dataclass(frozen=True)
class RunLimits:
    """How many requests a run sends at once, and how long an answer may be."""

    max_tokens: int
    concurrency: int
    wait_for_server: float  # seconds
    request_timeout: float  # seconds
    dry_run: bool

    def __post_init__(self) -> None:
        require(self.request_timeout > 0, f"REQUEST_TIMEOUT is above 0, not {self.request_timeout}")
        require(self.max_tokens > 0, f"an answer has at least 1 token, not {self.max_tokens}")
        require(self.concurrency > 0, f"CONCURRENCY is at least 1, not {self.concurrency}")


class SamplingLoop:
    """Asks the models for the missing samples of a folder, each on one of the routes (groups of servers).

    A sample that fails is counted in `failures` and has no file, so the next run tries it again.
    """

    def __init__(
        self, missing: MissingSamples, models: Sequence[PromptedModel], routes: Sequence[Route], limits: RunLimits
    ):
        self.missing, self.models, self.routes, self.limits = missing, models, routes, limits
        self.findings: list[str] = []
        self.failures, self.gave_up = Failures(), ""
        self.still_missing = len(missing) + len(missing.broken)
        self._counts: dict[str, Any] = {"written": 0}

    async def check(self, more: Callable[[], Awaitable[str]] | None = None) -> AsyncIterator[str]:
        """Yields sentences about the servers, with that of `more`, and about the run's size.

        In a dry run the prompts follow. Raises what `check_models` raises.
        """
        if self.missing or self.limits.dry_run:
            problems, most = self.missing.problems, self.limits.max_tokens
            checked = await check_models(self.models, problems, most, self.limits.wait_for_server)
            self.findings = [*checked.sentences, *([await more()] if more else [])]
            for sentence in self.findings:
                yield sentence
            yield self.missing.estimate(most, checked.prompt_tokens)
        if self.limits.dry_run:
            async for text in example_prompts(self.models, self.missing.problems):
                yield text

    def facts(self) -> dict[str, Any]:
        """What `run.json` records at the start of a run."""
        models = [each.model for each in self.models]
        return {"models": models, "problems": self.missing.chosen, "checked": self.findings}

    async def write_answers(self, answer: Callable[..., Awaitable[dict[str, Any]]], entry: RunEntry) -> None:
        """Writes each sample's file as soon as it has its answer; `answer(sample, *servers)` makes a record.

        Skips samples that other processes are making in the same folder. Files are written between requests: with a
        fast disk, handing a record to a thread costs more than writing it.
        """
        total = len(self.missing)
        if total:
            gc.collect()
            gc.freeze()  # the collector skips all objects that exist by now
            with self.missing.locks() as locks, tqdm(total=total, unit="sample", smoothing=0.05) as bar:
                await self._write(answer, locks, bar)
            self.still_missing = self.missing.count_again() + len(self.missing.broken)
        entry.close(missing=self.still_missing, failed=self.failures.counts(), **self._counts)

    async def _write(self, answer: Callable[..., Awaitable[dict[str, Any]]], locks: SampleLocks, bar: tqdm) -> None:
        queue = JobQueue(self.routes, self.limits.concurrency, bar.write)
        progress = Progress(bar, self.failures, self.limits.concurrency * len(self.routes))
        async with aclosing(queue.run(self.missing.take(locks), answer)) as finished:
            async for each in finished:
                if each.failure:
                    self.failures.add(each.job.name, each.failure)
                else:
                    write_json(each.job.path(self.missing.folder), each.result)
                    progress.add(each.result)
                locks.release(each.job.problem["question_id"], each.job.sample_index)
                progress.step()
        self.gave_up, self._counts = queue.gave_up, progress.counts()

    def report(self) -> Iterator[str]:
        """How many samples were written and are missing, then a sentence per reason why some are missing."""
        yield f"{self._counts['written']} samples written, {self.still_missing} missing"
        servers = {(server.url, server.model): server for route in self.routes for server in route}.values()
        sentences = dict.fromkeys(sentence for server in servers for sentence in server.sentences())
        yield from (each for each in sentences if each not in self.findings)
        if self.failures:
            yield self.failures.report()
        if self.gave_up:
            yield f"{self.gave_up}; run again to resume"
        if self.missing.with_others:
            yield f"{len(self.missing.with_others)} samples were left to another process that works in this folder"
        for path in self.missing.broken:
            yield f"{path} is not valid JSON: delete it to have it sampled again"
