"""What a problem is: a row in TACO's schema (Li et al. 2023).

`question`, `starter_code`, `difficulty`, `solutions` (a JSON list of programs) and `input_output`, a JSON string:

    {"inputs": ["2\\n5 3\\n"], "outputs": ["YES\\n"]}                              standard input
    {"fn_name": "is_prime", "inputs": [[2], [10]], "outputs": [true, false]}     call-based
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

TESTS = ("input_output", "solutions")  # the keys that an answer's `metadata` does not repeat

Problem = dict[str, Any]


def parse_tests(input_output: Any) -> dict[str, Any]:
    """TACO's tests as a dict; integers may be of any length. Raises ValueError when they are not a JSON object."""
    sys.set_int_max_str_digits(0)
    tests = json.loads(input_output) if input_output and isinstance(input_output, str) else input_output or {}
    if not isinstance(tests, dict):
        raise ValueError("tests are not a JSON object")
    return tests


def function_name(problem: Problem) -> str | None:
    """The name of a call-based problem's function, None for standard input.

    Tests, often megabytes, are parsed only when they have a name. Raises ValueError when they are not JSON.
    """
    if "fn_name" in problem:
        return problem["fn_name"]
    tests = problem.get("input_output") or ""
    if isinstance(tests, str) and '"fn_name"' not in tests:
        return None
    return parse_tests(tests).get("fn_name")


def without_tests(row: Mapping[str, Any]) -> Problem:
    """A problem's row without its tests and solutions."""
    return {key: row[key] for key in row if key not in TESTS}


def problem_hash(metadata: dict[str, Any]) -> int:
    """A 64-bit hash of a problem's text and starter code without blank space: identifies the problem of an answer.

    Ids are unique only within a problem set, and sets contain some problems twice.
    """
    text = "\n".join(" ".join((metadata.get(key) or "").split()) for key in ("question", "starter_code"))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
