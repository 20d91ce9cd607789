"""Many programs judged at once, by `local_judges` or `ray_judges`: the verdicts are the same."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from SkyThought.problem_tests import ProblemTests
from SkyThought.special_judges import SpecialJudge
from SkyThought.taco import TACOTaskHandler, Verdict

AHEAD = 2  # programs sent to a judge at a time: one runs, one waits; each may hold its problem's tests in memory
WAKE_SECONDS = 1.0  # longest wait without looking for signals
HELD = 64  # answers held back per judge while another answer's identical program is judged

Item = TypeVar("Item")


@dataclass(frozen=True)
class JudgeOptions:
    """The rules, limits and containment that every judge applies: the settings with these names."""

    timeout: float
    memory_mb: int
    sandbox: tuple[str, ...]
    unsafe: bool
    reference_rules: bool = False

    def make_handler(self) -> TACOTaskHandler:
        """A handler with these options. Raises UserError for an unknown layer of the sandbox."""
        return TACOTaskHandler(self.timeout, self.memory_mb, self.sandbox, self.unsafe, self.reference_rules)


@dataclass(frozen=True, eq=False)
class ProblemToJudge:
    """A problem's tests, parsed once for all of its programs, and its special judge."""

    question_id: int
    tests: ProblemTests
    special_judge: SpecialJudge | None = None


class Judges(Protocol):
    """Several judges: `workers` of them, which have received `submitted` programs.

    `protection` is a sentence about what contains the programs; `find_program` extracts the program from an answer.
    """

    workers: int
    submitted: int
    protection: str
    find_program: Callable[[str, ProblemTests], str | None]

    def submit(self, problem: ProblemToJudge, source: str | None) -> "Future[Verdict]": ...

    def close(self) -> None: ...


def judge_all(
    judges: Judges, programs: Iterable[tuple[Item, ProblemToJudge, str | None]]
) -> Iterator[tuple[Item, Verdict]]:
    """Judge programs, given as (item, problem, source), and yield (item, verdict) as they finish.

    While consecutive programs share a problem, identical ones are judged once. The number of programs read ahead of
    the judges is bounded.
    """
    waiting: dict[Future[Verdict], list[Item]] = {}
    current, known = None, {}
    for item, problem, source in programs:
        if problem is not current:
            current, known = problem, {}
        if source not in known:
            known[source] = judges.submit(problem, source)
        if known[source].done():
            yield item, known[source].result()
        else:
            waiting.setdefault(known[source], []).append(item)
        held = sum(len(items) for items in waiting.values())
        if len(waiting) >= AHEAD * judges.workers or held >= HELD * judges.workers:
            yield from _take_finished(waiting)
    while waiting:
        yield from _take_finished(waiting)


def _take_finished(waiting: dict["Future[Verdict]", list[Item]]) -> Iterator[tuple[Item, Verdict]]:
    """Wait until at least one program has a verdict, and remove those that have one."""
    done: set[Future[Verdict]] = set()
    while not done:  # Ctrl-C right before an endless wait would not end it
        done = wait(waiting, WAKE_SECONDS, return_when=FIRST_COMPLETED).done
    for future in done:
        for item in waiting.pop(future):
            yield item, future.result()
