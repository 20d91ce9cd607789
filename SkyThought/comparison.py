"""Compares a program's output, or a function's return value, with the expected one.

Standard input. Both texts are split at white space and compared token by token, in order and number; case matters. If
the expected token is a number with a point or an exponent and the other token is a number, they may differ by 1e-6,
absolute or relative. An expected integer must be answered by the same token: `3` is not `3.0`, except in a problem of
real numbers, where a number with a point or an exponent may differ from it by 1e-6. A number is what Python, C or a
person would print as a number: `0e1234` and `12e5` are words.

Calls. A returned value arrives in the tagged form of `sandbox.report`, which is JSON with the types kept:

    None, bool, int, float, str    as they are
    [1, (2, 3)]                    ["list", [1, ["tuple", [2, 3]]]]
    {1: "a"}                       ["dict", [[1, "a"]]]
    any other object               ["object", "its type's name"], which equals nothing

It is compared with the expected JSON value by Python's `==` (True == 1, 2 == 2.0), except that tuples count as lists at
any depth, an expected float has the tolerance above (and NaN equals NaN), and dictionary keys are compared as JSON
writes them: {1: 2} equals {"1": 2}.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import zip_longest
from typing import Any

TOLERANCE = 1e-6  # relative or absolute
LONG_TEXT = 1 << 20  # bytes
_TOKEN = re.compile(rb"\S+")
_POINT, _EXPONENT = r"(?:\d+\.\d*|\.\d+)", r"[eE][+-]?\d{1,3}"
# With neither a point nor a sign in the exponent: `2e5`, but not `12e5` or `0e5`, which are words (hexadecimal, say).
_NUMBER = re.compile(rf"[+-]?(?:\d+|{_POINT}(?:{_EXPONENT})?|\d+[eE][+-]\d{{1,3}}|[1-9]{_EXPONENT})".encode())
_INTEGER = re.compile(rb"[+-]?\d+")
_REAL = re.compile(rf"(?<!\S)[+-]?{_POINT}(?:{_EXPONENT})?(?!\S)".encode())


def same_text(expected: bytes, output: bytes, real: bool = False) -> bool:
    """Whether a program's output is the expected one, token by token; real: in a problem of real numbers."""
    if expected == output:
        return True
    pairs = zip_longest(_tokens(expected), _tokens(output))
    return all(
        wanted == got or (wanted is not None and got is not None and _same_number(wanted, got, real))
        for wanted, got in pairs
    )


def has_real_number(expected: bytes) -> bool:
    """Whether a token of an expected output is a number with a point."""
    return b"." in expected and _REAL.search(expected) is not None


def _tokens(text: bytes) -> Iterator[bytes]:
    """The tokens; of a long text one by one, because a list of them would take twenty times its memory."""
    return iter(text.split()) if len(text) < LONG_TEXT else (match[0] for match in _TOKEN.finditer(text))


def _same_number(expected: bytes, output: bytes, real: bool) -> bool:
    if not (_NUMBER.fullmatch(expected) and _NUMBER.fullmatch(output)):
        return False
    if _INTEGER.fullmatch(expected):  # exactly: the next integer is wrong, even if a float cannot tell the two apart
        if not real or _INTEGER.fullmatch(output):
            return False
        return abs(Decimal(expected.decode()) - Decimal(output.decode())) <= TOLERANCE
    wanted, got = float(expected), float(output)
    return math.isfinite(wanted) and _close(wanted, got)


def same_value(expected: Any, tagged: Any) -> bool:
    """Whether a returned value in tagged form equals the expected JSON value; without recursion, so at any depth.

    Raises ValueError or TypeError if the value is not in tagged form.
    """
    pairs = [(expected, tagged)]
    while pairs:
        wanted, got = pairs.pop()
        kind, content = got if isinstance(got, list) else (None, got)
        if kind in ("list", "tuple") and isinstance(wanted, list) and len(wanted) == len(content):
            pairs.extend(zip(wanted, content, strict=True))
        elif kind == "dict" and isinstance(wanted, dict) and len(wanted) == len(content):
            by_key = {_json_key(key): value for key, value in content}
            if by_key.keys() != wanted.keys():
                return False
            pairs.extend((value, by_key[key]) for key, value in wanted.items())
        elif kind is not None or not _same_scalar(wanted, content):
            return False
    return True


def _same_scalar(expected: Any, output: Any) -> bool:
    if isinstance(expected, float) and isinstance(output, (bool, int, float)):
        return expected == output or (math.isnan(expected) and output != output) or _close(expected, output)
    return expected == output


def _close(wanted: float, got: float) -> bool:
    try:
        return math.isclose(wanted, got, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except OverflowError:  # an integer too long to be a float
        return False


def _json_key(key: Any) -> Any:
    """The key as JSON writes it; for a tuple, which JSON cannot write, something that no expected key equals."""
    if isinstance(key, str):
        return key
    return ("not a JSON key", str(key)) if isinstance(key, list) else json.dumps(key)


def untag(tagged: Any, make_object: Callable[[str], Any] = "<{} object>".format) -> Any:
    """A tagged value as Python's own lists, tuples and dictionaries; `make_object` turns other objects' type names.

    Raises ValueError or TypeError if it is not in tagged form, RecursionError if it is nested too deeply.
    """
    if not isinstance(tagged, list):
        return tagged
    kind, content = tagged
    if kind == "dict":
        return {untag(key, make_object): untag(value, make_object) for key, value in content}
    if kind in ("list", "tuple"):
        items = [untag(item, make_object) for item in content]
        return items if kind == "list" else tuple(items)
    return make_object(content)


def format_value(tagged: Any) -> str:
    """A tagged value as Python prints it; a fixed sentence if the program forged it or nested it too deeply."""
    try:
        return repr(untag(tagged, _OtherObject))
    except (TypeError, ValueError, RecursionError):
        return "a value that cannot be shown"


class _OtherObject:
    """Stands for an object whose type is not built in."""

    def __init__(self, type_name: Any):
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"
