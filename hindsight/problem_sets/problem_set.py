"""A problem set by its name: the lab's own, a file, a known set, or a data set of the Hub."""

from functools import cached_property
from typing import Any

from hindsight.errors import UserError
from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.registry import TACO, kind_of
from hindsight.problem_sets.rows import SetKind
from hindsight.problem_sets.sources import find_rows

LARGEST_ID = 2**63 - 1  # of a question: tables of answers hold it in eight bytes
REQUIRED = ("question", "input_output")
TEXTS = ("starter_code", "fn_name")  # texts or nothing
SINGLE = ("difficulty", "split", "date")  # of any type, but single values
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, SyntaxError, RecursionError)


class ProblemSet:
    """The rows of one source, read from disk one by one: TACO's tests do not fit in memory.

    `source` is what --problems takes (see `sources`); `split` selects the part of a known set or a Hub data set, and is
    only recorded for a file; `revision` is that of a Hub data set. The first row's columns determine the rows' kind.
    Raises UserError when the source cannot be read.
    """

    def __init__(self, source: str, split: str = "", revision: str = ""):
        found = find_rows(source, split, revision)
        self.source, self.split = source, found.origin["split"]
        self._rows, self._name, self.origin = found.rows, found.name, found.origin

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def kind(self) -> SetKind:
        """The known kind to which the rows belong."""
        return kind_of(self.columns(0)) if len(self) else TACO

    def columns(self, number: int) -> dict[str, Any]:
        """A row exactly as in the source, with any keys."""
        return dict(self._rows[number])

    def text(self, number: int, row: dict[str, Any]) -> str | None:
        """Only the statement of a row of any kind, from its columns; None if it has none."""
        return self._read(number, "statement", lambda: self.kind.text(row))

    def row(self, number: int) -> Problem:
        """A problem with its tests, `question_id`, `fn_name` and `origin`. Raises UserError for a malformed row."""
        row = self.columns(number)
        problem = self.problem(number, row)
        return {**problem, **self._read(number, "tests", lambda: self.kind.tests(row, self._name))}

    def problem(self, number: int, row: dict[str, Any] | None = None) -> Problem:
        """The same without tests and solutions; `row`: its columns, if they were read before."""
        columns = self.columns(number) if row is None else row
        if self.kind is TACO and (missing := [key for key in REQUIRED if key not in columns]):
            has = ", ".join(columns)
            raise UserError(
                f"row {number} of {self.source} lacks {' and '.join(missing)}, or belongs to no known set: {has}"
            )
        problem = self._read(number, "columns", lambda: self.kind.problem(columns, self._name))
        problem = {"question_id": number, **problem, "origin": {**self.origin, "row": number}}
        if wrong := _wrong_value(problem):
            raise UserError(f"row {number} of {self.source} has {wrong}")
        return problem

    def has_tests(self, row: dict[str, Any]) -> bool:
        """Whether a row with these columns has any tests; malformed ones count, and are named when they are read."""
        try:
            return self.kind.has_tests(row)
        except MALFORMED:
            return True

    @cached_property
    def row_of_question(self) -> dict[int, int]:
        """Row numbers by question id."""
        return {self.problem(number)["question_id"]: number for number in range(len(self))}

    def _read(self, number: int, what: str, read: Any) -> Any:
        try:
            return read()
        except MALFORMED as error:
            reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else error
            raise UserError(f"the {what} of row {number} of {self.source} cannot be read ({reason})") from None


def _wrong_value(problem: Problem) -> str:
    """The first value that no step can use, in words; "" if there is none."""
    if not isinstance(problem.get("question"), str):
        return f"{problem.get('question')!r:.60} as its question, expected a text"
    if not 0 <= problem["question_id"] <= LARGEST_ID:
        return f"{problem['question_id']} as its id, expected a number from 0 to {LARGEST_ID}"
    for key in TEXTS:
        if not isinstance(problem.get(key), str | None):
            return f"{problem[key]!r:.60} as its {key}, expected a text"
    for key in SINGLE:
        if isinstance(problem.get(key), list | dict):
            return f"{problem[key]!r:.60} as its {key}, expected one value"
    return ""
