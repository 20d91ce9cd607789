"""The known problem sets, one line each. A file's columns determine its kind, tried in this order."""

from collections.abc import Iterable

from hindsight.problem_sets import apps, code_contests, evalplus, livecodebench, taco
from hindsight.problem_sets.rows import SetKind, Source

TACO = SetKind(taco.NAMES, taco.COLUMNS, taco.problem, taco.tests, taco.has_tests, taco.text)
KINDS = (
    SetKind(evalplus.NAMES, evalplus.COLUMNS, evalplus.problem, evalplus.tests, evalplus.has_tests, evalplus.text),
    SetKind(livecodebench.NAMES, livecodebench.COLUMNS, livecodebench.problem, livecodebench.tests,
            livecodebench.has_tests, livecodebench.text),
    SetKind(code_contests.NAMES, code_contests.COLUMNS, code_contests.problem, code_contests.tests,
            code_contests.has_tests, code_contests.text),
    SetKind(apps.NAMES, apps.COLUMNS, apps.problem, apps.tests, taco.has_tests, taco.text),
    TACO,
)  # fmt: skip
SOURCES: dict[str, Source] = {name: source for kind in KINDS for name, source in kind.names.items()}


def kind_of(columns: Iterable[str]) -> SetKind:
    """The kind of rows with these columns; TACO's for any others."""
    found = frozenset(columns)
    return next((kind for kind in KINDS if kind.tells(found)), TACO)
