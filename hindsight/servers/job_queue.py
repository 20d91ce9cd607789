"""Runs many jobs at once on servers that may fail: every job is done, or fails and is reported.

A job that got a broken answer or lost its server is tried again, up to ATTEMPTS times if the job itself may be the
cause. A server that does not answer gets no jobs until it does.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hindsight.servers.client import ATTEMPTS, ItemFailed, ModelServer, ServerAway, TryAgain

NAMED = 5  # items that a report names per reason
Job = TypeVar("Job")
Route = tuple[ModelServer, ...]


class Failures:
    """Failed items, counted by reason; reasons from one server that differ only in their numbers count as one."""

    def __init__(self):
        self._found: dict[str, tuple[int, str, list[str]]] = {}

    def add(self, item: str, reason: str) -> None:
        kind = re.sub(r"(https?://\S+)|\d+", lambda found: found[1] or "0", reason)
        count, first, named = self._found.get(kind, (0, reason, []))
        self._found[kind] = (count + 1, first, [*named, item][:NAMED])

    def __len__(self) -> int:
        return sum(count for count, _, _ in self._found.values())

    def counts(self) -> dict[str, int]:
        """The number of items by reason, the most frequent first."""
        return {first: count for count, first, _ in self._sorted()}

    def report(self) -> str:
        """One line per reason with its count and its first few items."""
        lines = []
        for count, first, named in self._sorted():
            more = f" and {count - NAMED} more" if count > NAMED else ""
            lines.append(f"{count} failed: {first}: {', '.join(named)}{more}")
        return "\n".join(lines)

    def _sorted(self) -> list[tuple[int, str, list[str]]]:
        return sorted(self._found.values(), key=lambda each: -each[0])


@dataclass(frozen=True)
class Finished(Generic[Job]):
    """A job that is done, with its result, or one that failed for good, with the reason."""

    job: Job
    result: Any = None
    failure: str = ""


# A finished job, and the future that tells its worker that the caller has handled it; None: no worker is left.
_FinishedJobs = asyncio.Queue[tuple[Finished, asyncio.Future[None]] | None]


class JobQueue:
    """Runs jobs on servers. A route is the servers that one job needs; each route runs `places` jobs at a time.

    `report` gets a sentence when a server goes away. Afterwards `gave_up` says why jobs are left over: every route has
    a server that stayed away beyond its deadline. It is empty when all jobs have finished.
    """

    def __init__(self, routes: Sequence[Route], places: int, report: Callable[[str], None]):
        self.routes, self.places, self.report = routes, places, report
        self.gave_up = ""
        self._reported: dict[ModelServer, float] = {}

    async def run(
        self, jobs: Iterable[Job], work: Callable[..., Awaitable[Any]]
    ) -> AsyncGenerator[Finished[Job], None]:
        """Yields each job as it finishes; `work(job, *route)` does one. Close it with `contextlib.aclosing`.

        Jobs are taken from the iterable one by one, when a place is free; a place takes its next job when the caller
        has handled the last one, so that neither jobs nor results pile up. Any other exception of `work` ends the run.
        """
        waiting, finished = _Jobs(jobs), _FinishedJobs()
        workers = asyncio.create_task(self._run_workers(waiting, work, finished))
        workers.add_done_callback(lambda _: finished.put_nowait(None))
        try:
            while (entry := await finished.get()) is not None:
                job, handled = entry
                yield job
                if not handled.done():  # its worker was cancelled meanwhile
                    handled.set_result(None)
            await workers
        except ExceptionGroup as group:  # the first exception cancelled the other workers
            raise group.exceptions[0] from None
        finally:
            workers.cancel()
            await asyncio.gather(workers, return_exceptions=True)
        if waiting.ended.is_set():
            self.gave_up = ""

    async def _run_workers(self, jobs: "_Jobs", work: Callable[..., Awaitable], finished: _FinishedJobs) -> None:
        async with asyncio.TaskGroup() as group:
            for route in self.routes:
                for _ in range(self.places):
                    group.create_task(self._work(jobs, work, route, finished))

    async def _work(self, jobs: "_Jobs", work: Callable[..., Awaitable], route: Route, finished: _FinishedJobs) -> None:
        """One place of a route: does one job after another until no job is left or its route is given up."""
        while not jobs.ended.is_set() and await self._is_up(route, jobs.ended):
            taken = jobs.take()
            if taken is None:
                await jobs.changed()
                continue
            job, tried = taken
            try:
                done = Finished(job, await work(job, *route))
            except ItemFailed as error:
                done = Finished(job, None, str(error))
            except (TryAgain, ServerAway) as error:
                tried += error.counts if isinstance(error, ServerAway) else 1
                if tried < ATTEMPTS:
                    jobs.put_back(job, tried)
                    continue
                done = Finished(job, None, f"{error}, {ATTEMPTS} times")
            handled = asyncio.get_running_loop().create_future()
            finished.put_nowait((done, handled))
            await handled
            jobs.done()

    async def _is_up(self, route: Route, ended: asyncio.Event) -> bool:
        """Waits until all servers of the route answer; False: one of them is given up."""
        for server in route:
            if server.away_since is None:
                self._reported.pop(server, None)
            elif self._reported.setdefault(server, server.away_since) == server.away_since:
                self._reported[server] = math.inf
                self.report(f"{server.url} is away: {server.reason}; waiting up to {server.deadline:.0f} s for it")
            if not await server.until_back(ended):
                self.gave_up = f"{server.url} stayed away for {server.deadline:.0f} s: {server.reason}"
                return False
        return True


class _Jobs(Generic[Job]):
    """The jobs in order, each taken when a place is free; jobs to be tried again come first.

    `ended` is set when no job is left and no running job can come back.
    """

    def __init__(self, source: Iterable[Job]):
        self._source, self._running = iter(source), 0
        self._again: deque[tuple[Job, int]] = deque()
        self._change, self.ended = asyncio.Event(), asyncio.Event()

    def take(self) -> tuple[Job, int] | None:
        """A job and how often it was tried; None if no job is waiting."""
        job = self._again.popleft() if self._again else next(((job, 0) for job in self._source), None)
        if job is not None:
            self._running += 1
        elif not self._running:
            self.ended.set()
            self._change.set()
        return job

    async def changed(self) -> None:
        """Returns when a job may have come back, or all have ended."""
        self._change.clear()
        if not self.ended.is_set():
            await self._change.wait()

    def put_back(self, job: Job, tried: int) -> None:
        self._running -= 1
        self._again.append((job, tried))
        self._change.set()

    def done(self) -> None:
        self._running -= 1
        if not self._running:
            self._change.set()
