"""Which problems of a set: one split, one difficulty, in order."""

from array import array
from collections.abc import Sequence
from typing import Any

from hindsight.errors import UserError
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.problems import Problem, without_tests


class Problems(Sequence):
    """Problems of a set, in order, without their tests: what an answer's `metadata` holds.

    Each is read from disk on access, so memory holds two numbers per problem. A slice is again Problems.
    """

    def __init__(self, rows: ProblemSet, numbers: Sequence[int], question_ids: Sequence[int]):
        self.rows, self.numbers, self.question_ids = rows, numbers, question_ids

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Problems(self.rows, self.numbers[index], self.question_ids[index])
        return without_tests(self.rows.row(self.numbers[index]))


def select_problems(source: str, split: str = "", difficulty: str = "") -> Problems:
    """The problems of a source, in order; of one split and difficulty if these are given.

    Raises UserError when the source cannot be read, nothing is left, or two problems have one question id.
    """
    seen = {"split": set(), "difficulty": set()}
    rows = ProblemSet(source, split)
    numbers, ids, known = array("q"), [], set()
    for number in range(len(rows)):
        row = rows.row(number)
        for key, values in seen.items():
            values.add(row.get(key))
        if (split and row.get("split", split) != split) or (difficulty and row.get("difficulty") != difficulty):
            continue
        if row["question_id"] in known:
            raise UserError(f"{source} has two problems with task_id {row['question_id']}")
        known.add(row["question_id"])
        numbers.append(number)
        ids.append(row["question_id"])
    if not ids:
        has = "; ".join(f"{key}: {', '.join(sorted(map(str, values)))}" for key, values in seen.items() if values)
        raise UserError(f"{source} has no problem of split {split!r} and difficulty {difficulty!r} (it has {has})")
    return Problems(rows, numbers, ids)


def load_problems(source: str, split: str = "", difficulty: str = "", with_tests: bool = True) -> list[Problem]:
    """The same problems in memory, by default with their tests (`input_output`, `solutions`). Raises UserError."""
    problems = select_problems(source, split, difficulty)
    return [problems.rows.row(number) for number in problems.numbers] if with_tests else list(problems)


def describe(problems: Problems) -> dict[str, Any]:
    """What `run.json` records of a problem set: its origin and the selected problems."""
    return {**problems.rows.origin, "count": len(problems), "question_ids": list(problems.question_ids)}
