"""Many jobs at once on servers that fail: each job is done, or has failed and is counted, whatever the servers do.

A job that got a broken answer, or whose server went away, is tried again, up to ATTEMPTS times where it may itself be
to blame. A server that does not answer gets no job until it does.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from hindsight.servers.client import ATTEMPTS, ItemFailed, ModelServer, ServerAway, TryAgain

NAMED = 5  # items that a report names
Job = TypeVar("Job")


class Failures:
    """Items that failed, counted by reason; reasons that differ in numbers alone are one. `gone`: why no server is."""

    def __init__(self):
        self.gone = ""
        self._found: dict[str, tuple[int, str, list[str]]] = {}

    def add(self, item: str, reason: str) -> None:
        count, first, named = self._found.setdefault(re.sub(r"\d+", "0", reason), (0, reason, []))
        if len(named) < NAMED:
            named.append(item)
        self._found[re.sub(r"\d+", "0", reason)] = (count + 1, first, named)

    def __len__(self) -> int:
        return sum(count for count, _, _ in self._found.values())

    def counts(self) -> dict[str, int]:
        """The number of items by reason, the most frequent first."""
        found = sorted(self._found.values(), key=lambda each: -each[0])
        return {first: count for count, first, _ in found}

    def report(self) -> str:
        """A line per reason with its count and the first few items."""
        lines = []
        for count, first, named in sorted(self._found.values(), key=lambda each: -each[0]):
            more = f" and {count - NAMED} more" if count > NAMED else ""
            lines.append(f"{count} failed: {first}: {', '.join(named)}{more}")
        return "\n".join(lines)


class _Jobs(Generic[Job]):
    """Jobs in order, each taken when a place is free; those to be tried again come first.

    `ended` is set when there is none left and none can come back.
    """

    def __init__(self, source: Iterable[Job]):
        self._source, self._again, self._under_way = iter(source), deque(), 0
        self._news, self.ended = asyncio.Event(), asyncio.Event()

    def take(self) -> tuple[Job, int] | None:
        """A job and how often it was tried; None when there is none now."""
        job = self._again.popleft() if self._again else next(((job, 0) for job in self._source), None)
        if job is not None:
            self._under_way += 1
        elif not self._under_way:
            self.ended.set()
            self._news.set()
        return job

    async def news(self) -> None:
        """Returns when there may be a job again, or all have ended."""
        self._news.clear()
        if not self.ended.is_set():
            await self._news.wait()

    def put_back(self, job: Job, tried: int) -> None:
        self._under_way -= 1
        self._again.append((job, tried))
        self._news.set()

    def done(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._news.set()


async def run_all(
    jobs: Iterable[Job],
    work: Callable[..., Awaitable[None]],
    name: Callable[[Job], str],
    routes: list[tuple[ModelServer, ...]],
    places: int,
    failures: Failures,
    on_end: Callable[[Job], None],
    say: Callable[[str], None],
) -> None:
    """Runs `work(job, *servers)` on every job, `places` at a time on each route, taken from `jobs` one by one.

    A route is the servers that one job needs. A job that fails for good is added to `failures`; `on_end` is called
    with each job that is done or failed, `say` with a sentence when a server goes away. `failures.gone` is set when
    every route has lost a server for longer than its deadline: then jobs are left.
    """
    queue = _Jobs(jobs)

    def end(job: Job, reason: str = "") -> None:
        if reason:
            failures.add(name(job), reason)
        queue.done()
        on_end(job)

    async def worker(route: tuple[ModelServer, ...]) -> None:
        while not queue.ended.is_set():
            if not await up(route):
                return
            taken = queue.take()
            if taken is None:
                await queue.news()
                continue
            job, tried = taken
            try:
                await work(job, *route)
                end(job)
            except ItemFailed as error:
                end(job, str(error))
            except TryAgain as error:
                if tried + 1 >= ATTEMPTS:
                    end(job, f"{error}, {ATTEMPTS} times")
                else:
                    queue.put_back(job, tried + 1)
            except ServerAway as away:
                if away.counts and tried + 1 >= ATTEMPTS:
                    end(job, f"{away}, {ATTEMPTS} times")
                else:
                    queue.put_back(job, tried + away.counts)

    async def up(route: tuple[ModelServer, ...]) -> bool:
        """Waits for the route's servers, so that no job is tried where nobody answers; False: one is given up."""
        for server in route:
            if server.away_since is None:
                told.pop(server, None)
            elif told.setdefault(server, server.away_since) == server.away_since:
                told[server] = math.inf
                say(f"{server.url} is away: {server.reason}; waiting for it, {server.deadline:.0f} s at most")
            if not await server.until_back(queue.ended):
                failures.gone = f"{server.url} stayed away for {server.deadline:.0f} s: {server.reason}"
                return False
        return True

    told: dict[ModelServer, float] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for route in routes:
                for _ in range(places):
                    group.create_task(worker(route))
    except ExceptionGroup as group:  # the first one ended the others: a full disk, say
        raise group.exceptions[0] from None
    if queue.ended.is_set():
        failures.gone = ""
