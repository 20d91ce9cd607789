"""A problem's tests, from TACO's `input_output` to what the judge compares with."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class ProblemTests:
    """A problem's tests. Standard input: bytes. A function: lists of arguments, and JSON values."""

    function: str | None
    inputs: list
    outputs: list
    wrapped: bool  # every expected value is a list of one element, which may be TACO's wrapping of the value


def _bytes(text: str | list[str]) -> bytes:
    """Text, or a list of lines, with Unix line ends. Raises TypeError for anything else."""
    joined = text if isinstance(text, str) else "\n".join(text)
    return joined.replace("\r\n", "\n").encode("utf-8", "surrogatepass")


@lru_cache(maxsize=4)
def parse_tests(input_output: str) -> ProblemTests | None:
    """A problem's tests from TACO's JSON text, kept for its other samples; None if they make no sense."""
    try:
        return make_tests(json.loads(input_output))
    except (ValueError, RecursionError):
        return None


def make_tests(input_output: Any) -> ProblemTests | None:
    """A problem's tests out of the parsed `input_output`; None when there are none or they are malformed.

    Standard input and output may be lists of lines. Windows line ends in an input become Unix ones: programs
    that compare whole lines never saw them on the judges the tests are from.
    """
    if not isinstance(input_output, dict):
        return None
    function = input_output.get("fn_name") or None
    inputs, outputs = input_output.get("inputs"), input_output.get("outputs")
    if not (isinstance(inputs, list) and isinstance(outputs, list) and 0 < len(inputs) == len(outputs)):
        return None
    if function is not None:
        if not isinstance(function, str) or not all(isinstance(arguments, list) for arguments in inputs):
            return None
        wrapped = all(isinstance(output, list) and len(output) == 1 for output in outputs)
        return ProblemTests(function, inputs, outputs, wrapped)
    try:
        return ProblemTests(None, [_bytes(text) for text in inputs], [_bytes(text) for text in outputs], False)
    except TypeError:
        return None
