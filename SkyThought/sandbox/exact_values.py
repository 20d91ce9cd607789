"""Python values as JSON and back, with their types: what a function returned, to be compared by Python's own rules.

    None, bool, int, float, str       as they are; a long integer as ["int", "0x..."]
    [1, (2,)], {3}, {"a": 1j}        ["list", [1, ["tuple", [2]]]], ["set", [3]], ["dict", [["a", ["complex", [0, 1]]]]]
    b"ab"                             ["bytes", "6162"]
    Decimal("1.50"), Fraction(1, 3)   ["Decimal", "1.50"], ["Fraction", [1, 3]], unless their digits are very many
    array([1.5]), float64(1.5)        ["array", ["<f8", ["list", [1.5]]]], ["scalar", ["<f8", 1.5]], of numpy
    Counter("a")                      ["subclass", ["Counter", ["dict", [["a", 1]]]]]
    any other object                  ["object", "its type's name"], which equals nothing
    iter([1])                         ["iterator", [1]], if asked for

A view of a dictionary's keys or items becomes a frozenset, which equals the same sets.
"""

import sys
from builtins import TypeError, all, dict, frozenset, getattr, issubclass, len, list, range, str, type  # noqa: UP029  # may be replaced by the program
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

LONG_INTEGER = 4096  # bits, from which on hexadecimal digits are written: decimal ones take quadratic time
_PLAIN = (int, float, str, bool, type(None))
_GROUPS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_VIEWS = (type({}.keys()), type({}.items()))
_VALUES = type({}.values())
_SCALARS = {"int": int, "float": float, "str": str, "complex": complex, "bytes": bytes}
class_name = type.__dict__["__name__"].__get__  # of a class, regardless of its metaclass


def tag_exactly(value: Any) -> Any:
    """A value in tagged form. Of a subclass the content of the built-in type counts, not the class's own methods."""
    kind = type(value)
    if kind is int and value.bit_length() > LONG_INTEGER:
        return ["int", hex(value)]
    if kind in _PLAIN:
        return value
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return [class_name(kind), [tag_exactly(item) for item in value]]
    if kind is dict:
        return ["dict", [[tag_exactly(key), tag_exactly(item)] for key, item in value.items()]]
    if kind is complex:
        return ["complex", [value.real, value.imag]]
    if kind is bytes:
        return ["bytes", value.hex()]
    if kind in _VIEWS:
        return ["frozenset", [tag_exactly(item) for item in value]]
    found = _tag_of_numpy(kind, value) or _tag_of_subclass(kind, value) or _tag_of_number(kind, value)
    return found or ["object", class_name(kind)]


def tag_with_iterators(value: Any) -> Any:
    """As `tag_exactly`; of an iterator, a range or the values of a dictionary, what it yields."""
    kind = type(value)
    if kind is range or kind is _VALUES or issubclass(kind, Iterator):
        return ["iterator", [tag_exactly(item) for item in value]]
    return tag_exactly(value)


def _tag_of_numpy(kind: type, value: Any) -> list | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or not (kind is numpy.ndarray or issubclass(kind, numpy.generic)) or value.dtype.hasobject:
        return None
    content = tag_exactly(value.tolist())
    return (
        ["array" if kind is numpy.ndarray else "scalar", [value.dtype.str, content]]
        if value.dtype.names is None
        else None
    )


def _tag_of_number(kind: type, value: Any) -> list | None:
    """Of an exact decimal number or fraction, which equals an int or a float of the same value."""
    if kind is getattr(sys.modules.get("decimal"), "Decimal", None):
        text = str(value)
        return ["Decimal", text] if len(text) <= LONG_INTEGER else None
    if kind is getattr(sys.modules.get("fractions"), "Fraction", None):
        parts = [value.numerator, value.denominator]
        return ["Fraction", parts] if all(part.bit_length() <= LONG_INTEGER for part in parts) else None
    return None


def _tag_of_subclass(kind: type, value: Any) -> list | None:
    if issubclass(kind, dict):
        content: Any = ["dict", [[tag_exactly(key), tag_exactly(item)] for key, item in dict.items(value)]]
        return ["subclass", [class_name(kind), content]]
    for name, group in _GROUPS.items():
        if issubclass(kind, group):
            return ["subclass", [class_name(kind), [name, [tag_exactly(item) for item in group.__iter__(value)]]]]
    for scalar in _SCALARS.values():
        if issubclass(kind, scalar):
            return [
                "subclass",
                [
                    class_name(kind),
                    tag_exactly(scalar.__new__(scalar, scalar.__str__(value)) if scalar is str else scalar(value)),
                ],
            ]
    return None


class OtherObject:
    """Stands for an object that has no tagged form: it equals nothing."""

    __hash__ = None  # type: ignore[assignment]  # as the object in a set or a key is not known to equal another

    def __init__(self, type_name: str):
        self.type_name = type_name

    def __eq__(self, other: object) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"


def untag_exactly(tagged: Any) -> Any:
    """The Python value of a tagged form, including numpy's arrays and scalars; OtherObject if it has no tagged form.

    Raises ValueError or TypeError if it is not in tagged form, RecursionError if it is nested too deeply.
    """
    if not isinstance(tagged, list):
        return tagged
    kind, content = tagged
    if kind in _GROUPS:
        return _GROUPS[kind](untag_exactly(item) for item in content)
    if kind == "dict":
        return {untag_exactly(key): untag_exactly(value) for key, value in content}
    if kind == "iterator":
        return iter([untag_exactly(item) for item in content])
    if kind == "complex":
        return complex(*content)
    if kind == "int":
        return int(content, 16)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind in ("array", "scalar"):
        import numpy  # slow to import, and rarely needed

        array = numpy.array(untag_exactly(content[1]), dtype=numpy.dtype(content[0]))
        return array if kind == "array" else array[()]
    if kind in ("Decimal", "Fraction"):
        return _exact_number(kind, content)
    if kind == "subclass":
        base = untag_exactly(content[1])
        return _subclass(str(content[0]), type(base))(base)
    if kind == "object":
        return OtherObject(str(content))
    raise ValueError(f"{kind!r} is not a tag")


def _exact_number(kind: str, content: Any) -> Any:
    from decimal import Decimal  # as in a child, only when it is needed
    from fractions import Fraction

    try:
        if kind == "Decimal" and len(content) <= LONG_INTEGER:
            return Decimal(content)
        if kind == "Fraction" and all(part.bit_length() <= LONG_INTEGER for part in content):
            return Fraction(*content)
    except (ArithmeticError, AttributeError):  # forged by the program
        pass
    raise ValueError(f"{content!r:.80} is no {kind}")


@lru_cache(maxsize=256)
def _subclass(name: str, base: type) -> type:
    """A class with this name: two values of the same class in a program have the same class here."""
    if base is bool:
        raise TypeError("bool has no subclasses")
    return type(name, (base,), {})
