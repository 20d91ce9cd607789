"""What a curated dataset holds: the rows that convert_to_data.py chose, and the run and problem of each."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.measures.distinct_programs import normalise
from hindsight.curation.row_files import read_rows
from hindsight.curation.training_rows import TrainingRow
from hindsight.errors import UserError
from hindsight.text.code_blocks import extract_code


@dataclass(frozen=True)
class Row:
    """A row of the dataset: the run and problem that its answer is from, its texts and the answer's program."""

    run: str
    question_id: int
    prompt: str
    answer: str
    code: str | None


def load_curated(folder: Path, name: str = "hindsight") -> list[Row]:
    """The rows of a dataset, of all its splits, with where they come from. Raises UserError when it is missing."""
    paths = folder / f"{name}.report.json", folder / f"{name}.sources.jsonl"
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise UserError(f"there is no {missing[0]}: make it by `make demo`, or by convert_to_data.py")
    try:
        files = json.loads(paths[0].read_bytes())["files"].values()
        sources = [json.loads(line) for line in paths[1].read_bytes().splitlines()]
        rows = [row for file in files for row in read_rows(folder / file["name"])]
        return [make_row(row, source) for row, source in zip(rows, sources, strict=True)]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{paths[0]} and {paths[1].name} are no dataset of convert_to_data.py ({error!r})") from None


def make_row(row: TrainingRow, source: dict[str, Any]) -> Row:
    """A row of the dataset and where it came from."""
    run = Path(source["file"]).parent.name
    return Row(run, source["question_id"], row.prompt, row.answer, extract_code(row.answer))


def rows_by_problem(rows: list[Row]) -> Counter:
    """The number of rows of each problem."""
    return Counter(row.question_id for row in rows)


def rows_by_run(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each run."""
    runs: dict[str, list[Row]] = {}
    for row in rows:
        runs.setdefault(row.run, []).append(row)
    return runs


def answer_lengths(rows: list[Row]) -> dict[str, list[int]]:
    """The length of each answer in characters, by run."""
    return {run: [len(row.answer) for row in group] for run, group in rows_by_run(rows).items()}


def summary(rows: list[Row]) -> list[dict[str, Any]]:
    """A table's row for each run: rows, problems, programs that differ but for formatting and names."""
    return [
        {
            "run": run,
            "rows": len(group),
            "problems": len(rows_by_problem(group)),
            "distinct programs": len({normalise(row.code) for row in group if row.code is not None}),
        }
        for run, group in rows_by_run(rows).items()
    ]
