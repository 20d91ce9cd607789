"""CodeContests (Li et al. 2022, "Competition-Level Code Generation with AlphaCode").

    {"name": "1575_A. Another Sorting Problem", "description": "Andi and Budi were given ...", "difficulty": 7,
     "source": 2, "cf_rating": 1100, "cf_tags": ["math"], "input_file": "", "output_file": "",
     "public_tests": {"input": ["5 2\\nAA\\n..."], "output": ["5 2 1 3 4\\n"]},
     "private_tests": {"input": [], "output": []}, "generated_tests": {"input": [...], "output": [...]},
     "solutions": {"language": [2, 3, 3], "solution": ["#include ...", "n, m = ...", "import sys\\n..."]}}

Every problem reads standard input; its tests are the public, the private and the generated ones, in this order, each
once. A problem that reads or writes a named file counts as one without tests. Solutions are those in Python 3.
"""

import json
from collections.abc import Iterator
from typing import Any

from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.rows import Row, Source, columns

NAMES = {
    "code_contests": Source(
        "deepmind/code_contests", {split: (f"data/{split}-*.parquet",) for split in ("test", "valid", "train")}
    )
}
COLUMNS = columns("description public_tests generated_tests")
# The enums of the data set, by number (its card and its contest_problem.proto).
DIFFICULTIES = (
    "UNKNOWN_DIFFICULTY",
    "EASY",
    "MEDIUM",
    "HARD",
    "HARDER",
    "HARDEST",
    "EXTERNAL",
    *"ABCDEFGHIJKLMNOPQRSTUV",
)
SOURCES = ("UNKNOWN_SOURCE", "CODECHEF", "CODEFORCES", "HACKEREARTH", "CODEJAM", "ATCODER", "AIZU")
PYTHON3 = (3, "PYTHON3")
TESTS = ("public_tests", "private_tests", "generated_tests")


def problem(row: Row, name: str) -> Problem:
    """The problem, with its difficulty and source by name."""
    return {
        "task_id": row["name"],
        "question": row["description"],
        "starter_code": "",
        "fn_name": None,
        "difficulty": _enum(row.get("difficulty"), DIFFICULTIES),
        "source": _enum(row.get("source"), SOURCES),
        **{key: row[key] for key in ("cf_rating", "cf_tags") if row.get(key)},
    }


def tests(row: Row, name: str) -> dict[str, Any]:
    """All of its tests, and its solutions in Python 3."""
    pairs = dict.fromkeys(pair for key in TESTS for pair in _pairs(row.get(key), "input", "output"))
    if _is_about_files(row):
        pairs = {}
    solutions = [text for language, text in _pairs(row.get("solutions"), "language", "solution") if language in PYTHON3]
    return {
        "input_output": {"inputs": [given for given, _ in pairs], "outputs": [expected for _, expected in pairs]},
        "solutions": json.dumps(solutions),
    }


def has_tests(row: Row) -> bool:
    """Whether there is a test of standard input."""
    return not _is_about_files(row) and any(next(_pairs(row.get(key), "input", "output"), None) for key in TESTS)


def text(row: Row) -> str | None:
    """The statement."""
    return row.get("description")


def _is_about_files(row: Row) -> bool:
    return bool(row.get("input_file") or row.get("output_file"))


def _pairs(both: Any, first: str, second: str) -> Iterator[tuple[Any, Any]]:
    """Pairs from an object with two lists, the form of `datasets`, or from a list of objects."""
    if isinstance(both, dict):
        yield from zip(both[first], both[second], strict=True)
    else:
        yield from ((each[first], each[second]) for each in both or ())


def _enum(value: Any, names: tuple[str, ...]) -> Any:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value
