"""What a module of this package declares about its set: its names, its columns, and how its rows are read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.problem_sets.problems import Problem

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where a set is read from by its name: a data set of the Hub, or the same files on this machine.

    dataset: its name on the Hub; parts: its splits or releases, each a list of files there, the first one the default;
    releases: whether these parts are releases, all of the split "test"; local: a file that is read instead where it
    exists, and `url`: where it can be downloaded.
    """

    dataset: str
    parts: Mapping[str, tuple[str, ...]]
    releases: bool = False
    local: Callable[[], Path] | None = None
    url: str = ""


@dataclass(frozen=True)
class SetKind:
    """A kind of problem set.

    names: where each set is read from, by name; columns: any of these groups identifies the kind of a file's rows.
    problem: a problem without its tests, from a row and the set's name ("" if it was found by its columns); tests: its
    `input_output` and `solutions`, from the same; has_tests: whether there are any, cheap; text: only the statement, to
    be compared with other texts. The first two raise ValueError, KeyError or TypeError for a malformed row.
    """

    names: Mapping[str, Source]
    columns: tuple[frozenset[str], ...]
    problem: Callable[[Row, str], Problem]
    tests: Callable[[Row, str], dict[str, Any]]
    has_tests: Callable[[Row], bool]
    text: Callable[[Row], str | None]

    def tells(self, columns: frozenset[str]) -> bool:
        """Whether rows with these columns are of this kind."""
        return any(group <= columns for group in self.columns)


def number_in(task_id: Any) -> dict[str, int]:
    """The question id by the number that a task's id ends in; empty if it has none: the row's number is the id."""
    found = re.search(r"[0-9]+$", str(task_id))
    return {"question_id": int(found.group())} if found else {}


def columns(*groups: str) -> tuple[frozenset[str], ...]:
    """Groups of columns, each written as words."""
    return tuple(frozenset(group.split()) for group in groups)
