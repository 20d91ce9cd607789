"""Which problems of a set: one split, one difficulty, some dates, in order."""

import datetime
from array import array
from collections.abc import Sequence
from typing import Any

from hindsight.errors import UserError, require
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.problems import Problem


class Problems(Sequence):
    """Problems of a set, in order, without their tests: what an answer's `metadata` holds.

    Each is read from disk on access, so memory holds two numbers per problem. A slice is again Problems. `untested`:
    the question ids of those that have no tests.
    """

    def __init__(
        self,
        rows: ProblemSet,
        numbers: Sequence[int],
        question_ids: Sequence[int],
        untested: frozenset[int] = frozenset(),
    ):
        self.rows, self.numbers, self.question_ids, self.untested = rows, numbers, question_ids, untested

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Problems(self.rows, self.numbers[index], self.question_ids[index], self.untested)
        return self.rows.problem(self.numbers[index])

    def tested(self) -> "Problems":
        """Those that have tests. Raises UserError if none has."""
        if not self.untested:
            return self
        kept = [each for each, question in enumerate(self.question_ids) if question not in self.untested]
        require(bool(kept), f"no problem of {self.rows.source} has tests")
        numbers, ids = [self.numbers[each] for each in kept], [self.question_ids[each] for each in kept]
        return Problems(self.rows, numbers, ids, self.untested)


def select_problems(
    source: str, split: str = "", difficulty: str = "", first_day: str = "", last_day: str = ""
) -> Problems:
    """The problems of a source, in order; only of one split, one difficulty, or between two days if these are given.

    Raises UserError when the source cannot be read, nothing is left, or two problems have one question id.
    """
    days = [_day(day) for day in (first_day, last_day)]
    seen = {"split": set(), "difficulty": set(), "date": set()}
    rows = ProblemSet(source, split)
    numbers, ids, known, untested = array("q"), [], set(), set()
    for number in range(len(rows)):
        columns = rows.columns(number)
        problem = rows.problem(number, columns)
        question = problem["question_id"]
        for key, values in seen.items():
            values.add(problem.get(key))
        wanted = not difficulty or str(problem.get("difficulty")) == difficulty
        if not wanted or (split and problem.get("split", split) != split) or not _within(problem.get("date"), days):
            continue
        require(question not in known, f"{source} has two problems with task_id {question}")
        known.add(question)
        numbers.append(number)
        ids.append(question)
        if not rows.has_tests(columns):
            untested.add(question)
    if not ids:
        raise UserError(_nothing_left(source, {"split": split, "difficulty": difficulty}, days, seen))
    return Problems(rows, numbers, ids, frozenset(untested))


def load_problems(source: str, split: str = "", difficulty: str = "", with_tests: bool = True) -> list[Problem]:
    """The same problems in memory, by default with their tests (`input_output`, `solutions`). Raises UserError."""
    problems = select_problems(source, split, difficulty)
    return [problems.rows.row(number) for number in problems.numbers] if with_tests else list(problems)


def describe(problems: Problems) -> dict[str, Any]:
    """What `run.json` records about a problem set: its origin and the selected problems."""
    untested = {"without_tests": sorted(problems.untested)} if problems.untested else {}
    return {**problems.rows.origin, "count": len(problems), "question_ids": list(problems.question_ids), **untested}


def _day(text: str) -> str:
    """A date as it is compared, "" for none. Raises UserError for anything but YYYY-MM-DD."""
    try:
        return datetime.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise UserError(f"a date is written as 2024-08-01, not {text!r}") from None


def _within(date: Any, days: Sequence[str]) -> bool:
    """Whether a problem's date is one of these days or between them; one without a date is not."""
    first, last = days
    day = str(date or "")[:10]
    return not (first or last) or (bool(day) and (first or day) <= day <= (last or day))


def _nothing_left(source: str, wanted: dict[str, str], days: Sequence[str], seen: dict[str, set]) -> str:
    """Why no problem is left, with the values that exist."""
    asked, has = [], []
    for key, value in wanted.items():
        values = sorted(map(str, seen[key] - {None, ""}))
        if value and (values or key != "split"):  # rows without a split belong to any
            asked.append(f"{key} {value!r}")
        if values or key != "split":
            has.append(f"{key}: {', '.join(values)}" if values else f"no {key}")
    dates = sorted(str(date)[:10] for date in seen["date"] - {None, ""})
    if any(days):
        asked.append(f"a date from {days[0] or 'the first'} to {days[1] or 'the last'}")
        has.append(f"dates from {dates[0]} to {dates[-1]}" if dates else "no dates")
    of = f" of {' and '.join(asked)}" if asked else ""
    return f"{source} has no problem{of} (it has {'; '.join(has)})"
