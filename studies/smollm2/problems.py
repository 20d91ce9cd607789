"""The study's problems: MBPP's (Austin et al. 2021, "Program Synthesis with Large Language Models"), by its own splits.

training      MBPP's training problems without those of MBPP+, for fine-tuning
validation    its validation problems, judged by MBPP's own asserts, for every choice
test          those of its test problems that MBPP+ has, judged by EvalPlus's base and plus tests: measured once. A
              small study measures some of them; no training problem may resemble any
examples      three of its prompt problems: the examples of the prompt that base models are usually given
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.files.records import write_bytes
from hindsight.problem_sets.problem_set import ProblemSet

TRAINING, VALIDATION, TEST = range(601, 975), range(511, 601), range(11, 511)  # by task_id, as its authors split it
WHOLE_TEST = "whole_test"  # the file of all test problems
EXAMPLES = (2, 3, 4)  # of the prompt problems, 1 to 10, those that its authors put before a problem


def choose_problems(mbpp: str, mbpp_plus: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of each part.

    mbpp, mbpp_plus: what --problems takes, such as a file. Raises UserError when a source cannot be read or is another
    set.
    """
    all_rows, plus_rows = _rows_by_id(mbpp), _rows_by_id(mbpp_plus)
    require(all("base_input" in row for row in plus_rows.values()), f"{mbpp_plus} is not EvalPlus's file of MBPP+")
    return {
        "training": _rows(all_rows, (task for task in TRAINING if task not in plus_rows), mbpp),
        "validation": _rows(all_rows, VALIDATION, mbpp),
        "test": [plus_rows[task] for task in sorted(plus_rows) if task in TEST],
        "examples": _rows(all_rows, EXAMPLES, mbpp),
    }


def write_problems(parts: Mapping[str, Sequence[dict[str, Any]]], folder: Path) -> None:
    """Writes a file for each part, one problem a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        write_bytes(folder / f"{part}.jsonl", "".join(lines).encode())


def spread(rows: list[Any], count: int) -> list[Any]:
    """`count` of the rows, evenly spread and in order; all of them if it is 0 or too large."""
    if not 0 < count < len(rows):
        return rows
    return [rows[number * len(rows) // count] for number in range(count)]


def _rows_by_id(source: str) -> dict[int, dict[str, Any]]:
    """The rows of a set as they are in its file, from all splits, by task number."""
    rows = ProblemSet(source)
    found = (rows.columns(number) for number in range(len(rows)))
    return {int(str(row["task_id"]).removeprefix("Mbpp/")): row for row in found if "task_id" in row}


def _rows(rows: dict[int, dict[str, Any]], tasks: Iterable[int], source: str) -> list[dict[str, Any]]:
    return list(_require_rows(rows, tasks, source))


def _require_rows(rows: dict[int, dict[str, Any]], tasks: Iterable[int], source: str) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if task not in rows or "code" not in rows[task]:
            raise UserError(f"{source} is not the whole of MBPP, 974 problems with their programs: it lacks {task}")
        yield {**rows[task], "code": rows[task]["code"].replace("\r\n", "\n")}
