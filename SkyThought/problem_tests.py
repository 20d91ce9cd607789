"""A problem's tests, from TACO's `input_output` to what the judge compares with."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class ProblemTests:
    """Inputs and expected outputs. Standard input: bytes. A function: lists of arguments, and JSON values."""

    function: str | None
    inputs: list
    outputs: list
    wrapped: bool = False  # every expected value is a list of one element, perhaps TACO's wrapping of the value


def read_tests(input_output: Any) -> ProblemTests | None:
    """A problem's tests from JSON text or the object it parses to; None when missing or malformed."""
    return _parse_tests(input_output) if isinstance(input_output, str) else make_tests(input_output)


@lru_cache(maxsize=4)
def _parse_tests(text: str) -> ProblemTests | None:
    """Cached for the problem's other samples."""
    try:
        return make_tests(json.loads(text))
    except (ValueError, RecursionError):
        return None


def make_tests(input_output: Any) -> ProblemTests | None:
    """A problem's tests from the parsed `input_output`; None when missing or malformed.

    Standard input and output may be lists of lines. Windows line ends become Unix ones: the original judges of these
    problems never passed them to a program, so programs that compare whole lines rely on that.
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
        return ProblemTests(None, [_bytes(text) for text in inputs], [_bytes(text) for text in outputs])
    except TypeError:
        return None


def _bytes(text: str | list[str]) -> bytes:
    """Text, or a list of lines, with Unix line ends. Raises TypeError for anything else."""
    joined = text if isinstance(text, str) else "\n".join(text)
    return joined.replace("\r\n", "\n").encode("utf-8", "surrogatepass")
