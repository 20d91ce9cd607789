"""Which problems of `BAAI/TACO`, split test, have a special checker, by the list that TACO's authors published.

`taco_special_judges.json` has the rows of each class and the list's source. The rule of a class applies to answers
whose problem comes from that data set by name.
"""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from SkyThought.problem_tests import ProblemTests

DATASET, SPLIT = "BAAI/TACO", "test"
SEVERAL, ANY_CASE, TOLERANCE = (
    "several answers are right", "case does not matter", "floating point within a tolerance",
)  # fmt: skip


@lru_cache(maxsize=1)
def _rows() -> dict[str, frozenset[int]]:
    content = json.loads(Path(__file__).with_suffix(".json").read_text())
    return {name: frozenset(rows) for name, rows in content["classes"].items()}


def is_listed(origin: Any, name: str) -> bool:
    """Whether the list has a problem in a class, by its `origin`: data set, split and row."""
    if not isinstance(origin, dict) or (origin.get("dataset"), origin.get("split")) != (DATASET, SPLIT):
        return False
    row = origin.get("row")
    return isinstance(row, int) and row in _rows()[name]


def with_listed_rule(tests: ProblemTests, origin: Any) -> ProblemTests:
    """A problem's tests with the rule of its class: case does not matter, or its numbers are real numbers."""
    return replace(
        tests, any_case=tests.any_case or is_listed(origin, ANY_CASE), real=tests.real or is_listed(origin, TOLERANCE)
    )
