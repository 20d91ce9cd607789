"""Reads the raw answers of tests/raw_answers, each with what the rules must make of it.

=== its name
%%% finish: length                    where it was cut off
... the answer ...
%%% rule: sections, doubled tags      what decides, and the two sections, or
%%% thought
...
%%% solution
...
%%% asked: it has two solutions       why no rule can, and a model is asked; "lost": nobody can
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "raw_answers"


@dataclass(frozen=True)
class RawAnswer:
    """An answer and its expected outcome: a rule with two sections, or why there is none."""

    name: str
    text: str
    finished: bool
    expected: dict[str, str]


def raw_answers() -> list[RawAnswer]:
    """Every one, file by file."""
    cases = []
    for path in sorted(FOLDER.glob("*.txt")):
        for case in re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)[1:]:
            cases.append(_read(case))
    return cases


def _read(case: str) -> RawAnswer:
    name, rest = case.split("\n", 1)
    finished = not rest.startswith("%%% finish: length\n")
    text, *parts = re.split(r"^%%% ", rest if finished else rest.split("\n", 1)[1], flags=re.MULTILINE)
    expected = {}
    for part in parts:
        key, _, value = part.partition(":" if re.match(r"(rule|asked|lost|left out):", part) else "\n")
        expected[key] = value.strip()
    return RawAnswer(name, text.removesuffix("\n"), finished, expected)
