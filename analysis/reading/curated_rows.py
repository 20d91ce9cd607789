"""The rows of a dataset that convert_to_data.py curated, each with the run and problem it came from."""

import json
from dataclasses import dataclass
from pathlib import Path

from hindsight.curation.row_files import read_rows
from hindsight.curation.training_rows import uniform_answer
from hindsight.errors import UserError
from hindsight.text.program_choice import UNKNOWN_TARGET, find_program


@dataclass(frozen=True)
class CuratedRow:
    """A row of the dataset: the run and problem of its answer, its prompt, the answer in the uniform format, and the
    answer's program."""

    run: str
    question_id: int
    prompt: str
    answer: str
    code: str | None


def load_curated(folder: Path, name: str = "hindsight") -> list[CuratedRow]:
    """The rows of all splits of a dataset. Raises UserError when it is missing or broken."""
    report, origins = folder / f"{name}.report.json", folder / f"{name}.sources.jsonl"
    missing = [path for path in (report, origins) if not path.exists()]
    if missing:
        raise UserError(f"{missing[0]} does not exist; make it with `make loop` or convert_to_data.py")
    try:
        files = json.loads(report.read_bytes())["files"].values()
        sources = [json.loads(line) for line in origins.read_bytes().splitlines()]
        rows = [row for file in files for row in read_rows(folder / file["name"])]
        return [
            CuratedRow(
                Path(source["file"]).parent.name,
                source["question_id"],
                row.prompt,
                answer := uniform_answer(row.answer),
                find_program(answer, UNKNOWN_TARGET),
            )
            for row, source in zip(rows, sources, strict=True)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{report} and {origins.name} are not a dataset of convert_to_data.py ({error!r})") from None
