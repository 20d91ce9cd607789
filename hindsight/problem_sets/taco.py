"""TACO (Li et al. 2023, "TACO: Topics in Algorithmic COde generation dataset"), and any file with its columns.

    {"question": "Given a number, print ...", "starter_code": "", "difficulty": "EASY", "source": "codeforces",
     "solutions": "[\\"n = int(input())\\\\n...\\"]", "date": "2019-12-31", "url": "https://...",
     "input_output": "{\\"inputs\\": [\\"2\\\\n5 3\\\\n\\"], \\"outputs\\": [\\"YES\\\\n\\"]}"}

A problem is an unchanged row. The Hub's data set still has a loading script, which `datasets` no longer runs, so its
data files are read: the training split from Parquet, the test split from the Arrow file, which was corrected later than
the Parquet file.
"""

from typing import Any

from hindsight.problem_sets.problems import TESTS, Problem, function_name, parse_tests, without_tests
from hindsight.problem_sets.rows import Row, Source, columns

NAMES = {"BAAI/TACO": Source("BAAI/TACO", {"train": ("ALL/train-*.parquet",), "test": ("test/*.arrow",)})}
COLUMNS = columns("question input_output")
TEXT_KEYS = ("question", "prompt", "problem", "text", "description")  # a row's statement: the first key that it has
SHORT = 200  # characters of tests that may have empty lists


def problem(row: Row, name: str) -> Problem:
    """The row without its tests, with `fn_name`."""
    found = {**without_tests(row), "fn_name": _function(row)}
    found.pop("question_id", None)
    return {**found, "question_id": row["task_id"]} if type(row.get("task_id")) is int else found


def _function(row: Row) -> str | None:
    """The name in the tests, None for standard input. Raises ValueError if a column `fn_name` has another one."""
    column, found = row.get("fn_name"), function_name({"input_output": row.get("input_output")})
    if column and column != found and has_tests(row):
        raise ValueError(f"its column fn_name is {column!r}, and fn_name in its input_output is {found!r}")
    return column or found


def tests(row: Row, name: str) -> dict[str, Any]:
    """Its tests and solutions, as they are."""
    return {key: row[key] for key in TESTS if key in row}


def has_tests(row: Row) -> bool:
    """Whether there is a test; malformed ones count."""
    given = row.get("input_output")
    if isinstance(given, str) and len(given) <= SHORT:
        try:
            given = parse_tests(given.strip())
        except ValueError:
            return True
    return any(given[key] for key in given if key != "fn_name") if isinstance(given, dict) else bool(given)


def text(row: Row) -> str | None:
    """The statement; of a row of any other kind too."""
    return next((row[key] for key in TEXT_KEYS if isinstance(row.get(key), str)), None)
