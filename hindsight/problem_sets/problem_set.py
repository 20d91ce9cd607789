"""A problem set by its name: the lab's own, a file, or a data set of the Hub."""

from functools import cached_property
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.problem_sets.hub import hub_rows
from hindsight.problem_sets.local_files import file_digest, file_rows
from hindsight.problem_sets.problems import Problem, function_name

LAB_FILE = Path(__file__).resolve().parents[2] / "lab" / "problems.jsonl"
REQUIRED = ("question", "input_output")


class ProblemSet:
    """The rows of one source, read from disk one by one: TACO's tests do not fit in memory.

    `source` is "lab", a file, or a Hub name; `split` selects the part of a Hub data set, and is only recorded for a
    file; `revision` is that of a Hub data set. Raises UserError when the source cannot be read.
    """

    def __init__(self, source: str, split: str = "", revision: str = ""):
        self.source, self.split = source, split
        path = LAB_FILE if source == "lab" else Path(source)
        if path.is_file():
            self._rows = file_rows(path)
            self.origin = {"dataset": source, "split": split, "digest": file_digest(path)}
        elif source.count("/") == 1 and not path.suffix and not path.parent.exists():
            self._rows, revision = hub_rows(source, split, revision)
            self.origin = {"dataset": source, "split": split, "revision": revision}
        else:
            raise UserError(f"there is no problem file {path}")

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, number: int) -> Problem:
        """A row with `question_id`, `fn_name` and `origin`. Raises UserError when it lacks a key."""
        row = self.columns(number)
        missing = [key for key in REQUIRED if key not in row]
        if missing:
            raise UserError(f"row {number} of {self.source} lacks {' and '.join(missing)}")
        row["question_id"] = row["task_id"] if isinstance(row.get("task_id"), int) else number
        try:
            row["fn_name"] = function_name(row)
        except ValueError as error:
            raise UserError(f"input_output of row {number} of {self.source} is not JSON ({error})") from None
        row["origin"] = {**self.origin, "row": number}
        return row

    def columns(self, number: int) -> dict[str, Any]:
        """A row exactly as in the source, with any keys."""
        return dict(self._rows[number])

    @cached_property
    def row_of_question(self) -> dict[int, int]:
        """Row numbers by question id."""
        return {self.row(number)["question_id"]: number for number in range(len(self))}
