"""Reads the raw answers of tests/data/raw_answers, each with the conversion that the rules must give.

=== its name
%%% finish: length                    if the answer was cut off
... the answer ...
%%% rule: sections, doubled tags      the rule that decides, and the two sections, or
%%% thought
...
%%% solution
...
%%% asked: it has two solutions       why no rule decides, so that a model is asked; "lost": no model is asked either
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "raw_answers"


@dataclass(frozen=True)
class RawAnswer:
    """An answer and its expected outcome: a rule with two sections, or the reason why no rule decides."""

    name: str
    text: str
    finished: bool
    expected: dict[str, str]


def raw_answers() -> list[RawAnswer]:
    """All raw answers, file by file."""
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
