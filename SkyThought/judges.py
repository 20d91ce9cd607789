"""Many programs judged at once: several judges side by side, and the order in which programs go to them.

`open_judges` gives the judges that a script's settings ask for, `judge_all` sends them programs problem by problem.
Where judging happens (here: a thread and a handler each; `ray_cluster`: the nodes of a Ray cluster) makes no
difference to a verdict.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from hindsight.errors import require
from hindsight.settings import Settings
from SkyThought.problem_tests import ProblemTests, make_tests, parse_tests
from SkyThought.special_judges import SpecialJudge
from SkyThought.taco import TACOTaskHandler

AHEAD = 2  # programs sent ahead, a judge: one is judged, one waits; each may hold its problem's tests in memory
HELD = 64  # answers held back, a judge, while an identical program of another answer is judged
STOP_SECONDS = 3  # for judges that are told to stop while they judge


@dataclass(frozen=True, eq=False)
class Task:
    """A problem as a judge needs it, parsed once for all of its programs. `tests`: None when they make no sense."""

    question_id: int
    tests: ProblemTests | None
    check: SpecialJudge | None = None


def make_task(question_id: int, input_output: Any, check: SpecialJudge | None = None) -> Task:
    """The task of a problem by its `input_output`: JSON text, or what it parses to."""
    tests = parse_tests(input_output) if isinstance(input_output, str) else make_tests(input_output)
    return Task(question_id, tests, check)


class Judges(Protocol):
    """Several judges: `workers` of them, `submitted` the number of programs they got.

    `protection` says in a sentence what contains the programs, `find_program` takes the program out of an answer. A
    future gives what `TACOTaskHandler.judge` does.
    """

    workers: int
    submitted: int
    protection: str
    find_program: Callable[[str], str | None]

    def submit(self, task: Task, source: str | None) -> Future: ...

    def close(self) -> None: ...


def open_judges(settings: Settings) -> Judges:
    """The judges that the settings TIMEOUT, MEMORY_MB, WORKERS, SANDBOX, UNSAFE, RAY_ADDRESS ask for; close them.

    Raises UserError when the programs cannot be contained, or the cluster is not there.
    """
    options = {
        "timeout": settings.timeout,
        "memory_mb": settings.memory_mb,
        "layers": tuple(settings.sandbox),
        "unsafe": settings.unsafe,
        "reference_rules": settings.get("reference_rules", False),
    }
    require(settings.workers >= 0, "WORKERS is 0, for one a core, or more")
    if not settings.ray_address:
        return LocalJudges(settings.workers or len(os.sched_getaffinity(0)), options)
    require(settings.workers == 0, "WORKERS is for this machine alone; a Ray cluster gives what CPUs its nodes have")
    from SkyThought.ray_cluster import RayJudges

    return RayJudges(settings.ray_address, options)


def judge_all(judges: Judges, programs: Iterable[tuple[Any, Task, str | None]]) -> Iterator[tuple[Any, dict]]:
    """Judges programs, given as (what it is for, task, source), and yields (what it is for, verdict) as they end.

    The same program of the same task, when tasks come one after another, is judged once. What is read ahead of the
    judges is bounded, whatever the number of programs.
    """
    waiting: dict[Future, list[Any]] = {}
    task_now, known = None, {}
    for item, task, source in programs:
        if task is not task_now:
            task_now, known = task, {}
        if source not in known:
            known[source] = judges.submit(task, source)
        if known[source].done():
            yield item, known[source].result()
        else:
            waiting.setdefault(known[source], []).append(item)
        held = sum(len(items) for items in waiting.values())
        if len(waiting) >= AHEAD * judges.workers or held >= HELD * judges.workers:
            yield from _ended(waiting)
    while waiting:
        yield from _ended(waiting)


def _ended(waiting: dict[Future, list[Any]]) -> Iterator[tuple[Any, dict]]:
    """Waits until a program has ended, and takes out what has."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        for item in waiting.pop(future):
            yield item, future.result()


class LocalJudges:
    """Judges on this machine: threads with a handler each, as the work is done by the handlers' processes."""

    def __init__(self, workers: int, options: dict[str, Any]):
        self.workers, self.submitted = workers, 0
        handlers = [TACOTaskHandler(**options) for _ in range(workers)]
        self.protection, self.find_program = handlers[0].protection(), handlers[0].find_program
        self._work: SimpleQueue = SimpleQueue()
        # Daemons: after Ctrl-C the script does not wait for a program of minutes. The handlers' processes end
        # with the script.
        self._threads = [threading.Thread(target=self._judge, args=(each,), daemon=True) for each in handlers]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task, source: str | None) -> Future:
        """Puts a program in the queue."""
        future: Future = Future()
        self.submitted += 1
        self._work.put((future, task, source))
        return future

    def close(self) -> None:
        """Forgets the programs that wait, and ends the threads and their handlers' processes."""
        while True:
            try:
                self._work.get_nowait()
            except Empty:
                break
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _judge(self, handler: TACOTaskHandler) -> None:
        with handler:
            while (work := self._work.get()) is not None:
                future, task, source = work
                try:
                    future.set_result(handler.judge(source, task.tests, check=task.check))
                except BaseException as error:  # raised again where the result is asked for
                    future.set_exception(error)
