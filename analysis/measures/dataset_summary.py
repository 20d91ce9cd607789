"""The contents of a curated dataset: its rows counted by run and by problem."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from analysis.measures.program_diversity import normalise
from analysis.reading.curated_rows import CuratedRow


def rows_by_problem(rows: Iterable[CuratedRow]) -> Counter[int]:
    """The number of rows of each problem."""
    return Counter(row.question_id for row in rows)


def rows_by_run(rows: Iterable[CuratedRow]) -> dict[str, list[CuratedRow]]:
    """The rows of each run."""
    runs: dict[str, list[CuratedRow]] = {}
    for row in rows:
        runs.setdefault(row.run, []).append(row)
    return runs


def answer_lengths(rows: Iterable[CuratedRow]) -> dict[str, list[int]]:
    """The length of each answer in characters, by run."""
    return {run: [len(row.answer) for row in group] for run, group in rows_by_run(rows).items()}


def summary(rows: Iterable[CuratedRow]) -> list[dict[str, Any]]:
    """A table row per run: its rows, their problems, and how many programs differ by more than layout and names."""
    return [
        {
            "run": run,
            "rows": len(group),
            "problems": len(rows_by_problem(group)),
            "distinct programs": len({normalise(row.code) for row in group if row.code is not None}),
        }
        for run, group in rows_by_run(rows).items()
    ]
