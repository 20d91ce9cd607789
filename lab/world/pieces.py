"""What a piece of a pipeline is: a source of items, a step (filter or map) or a reduction, in English and in Python.

Item types keep pipelines sensible: "int", "char", "word", and "CHAR", "WORD" for upper-case text, which no filter
takes. Each piece has wordings for statements (`statement_wordings`) and thoughts (`thought_wordings`); the first
of each is the plain one, the only one in the instruct corpus. In the code `{k}` is the step's parameter (a number or a
letter), `x` an item, `a` the list of items from the source and `b` the list after the steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """A filter (`gives` is "") or a map from items of one type to items of another."""

    name: str
    takes: str
    gives: str
    code: str
    run: Callable[[Any, Any], Any]
    statement_wordings: tuple[str, ...]
    thought_wordings: tuple[str, ...]
    parameters: tuple = (None,)
    signed: bool = False  # useful only for items that can be negative


@dataclass(frozen=True)
class Reduction:
    """What is computed from the remaining items. `codes`: ways to program it, each (lines before, expression)."""

    name: str
    takes: tuple[str, ...]
    codes: tuple[tuple[tuple[str, ...], str], ...]
    run: Callable[[list], Any]
    statement_wordings: tuple[str, ...]
    thought_wordings: tuple[str, ...]
    empty: str = ""  # the answer for an empty list, where the statement has to give it
    gives: str = "integer"  # "integer", "string" or "numbers"


@dataclass(frozen=True)
class Source:
    """Where the items come from.

    `reads`: ways to read the input and make the list `a`, as lines of code; `arguments` and `makes`: the same for a
    function, its parameters and ways to make `a` from them. `input_wordings` and `argument_wordings` open a statement,
    `layout` describes the input, and `noun` ends the names of functions.
    """

    name: str
    gives: str
    reads: tuple[tuple[str, ...], ...]
    arguments: str
    makes: tuple[str, ...]
    run: Callable[..., list]
    input_wordings: tuple[str, ...]
    argument_wordings: tuple[str, ...]
    thought_wordings: tuple[str, ...]
    layout: str
    noun: str
