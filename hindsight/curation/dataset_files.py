"""The files of a fine-tuning dataset: rows, where each came from, the report of the whole, LLaMA-Factory's list.

Rows are written under temporary names and get theirs at the end, so an old dataset stays until the new one is whole.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hindsight.curation.dataset_card import describe_folder, write_card
from hindsight.curation.filters import FILTERS, Candidates
from hindsight.curation.rows import SUFFIXES, RowFile, dataset_entry, make_row
from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import records
from hindsight.files.runs import versions
from hindsight.settings import Settings
from hindsight.text.prompts import Prompts

OTHER_PROBLEM, OTHER_ROWS, ROW = "beyond MAX_PER_PROBLEM", "beyond MAX_SAMPLES or SHARES", "row of the dataset"
NOT_OF_THE_DATA = ("output_dir", "workers", "overwrite", "push_to_hub")


def require_same_data(settings: Settings, files: dict[str, Any] | None = None) -> None:
    """Raises UserError when a dataset of this name was made by other settings, or has other files, unless told to."""
    path = Path(settings.output_dir) / f"{settings.name}.report.json"
    if settings.overwrite or not path.exists():
        return
    try:
        made = records.read_record(path, ("settings", "files"))
    except BrokenFile as error:
        raise UserError(f"{error}; mend or delete it") from None
    now = _as_json(settings)
    differing = [key for key in now if key not in NOT_OF_THE_DATA and made["settings"].get(key) != now[key]]
    what = f"by other settings ({', '.join(differing)})" if differing else "of other answers"
    same = not differing and (files is None or made["files"] == files)
    require(same, f"the dataset {settings.name} in {path.parent} was made {what}; give another --name, or --overwrite")


def write_dataset(
    candidates: Candidates, splits: dict[str, list[int]], counts: Counter, settings: Settings
) -> tuple[dict[str, Any], list[Path]]:
    """Writes a dataset of the candidates that each split names. Its report, and the files of its rows and sources.

    Raises UserError as `require_same_data` does, and when dataset_info.json is not JSON; then nothing has changed.
    """
    output = Path(settings.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    sources = output / f"{settings.name}.sources.jsonl"
    names = {split: settings.name if split == "train" else f"{settings.name}_{split}" for split in splits}
    paths = [*(output / f"{name}{SUFFIXES[settings.format]}" for name in names.values()), sources]
    entries = _other_entries(output, settings.name)
    try:
        with _temporary(sources).open("w", encoding="utf-8") as lines:
            files = {
                split: _write_split(candidates, numbers, split, path, lines, settings)
                for (split, numbers), path in zip(splits.items(), paths, strict=False)
            }
        require_same_data(settings, files)
        for path in paths:
            _temporary(path).replace(path)
    finally:
        for path in paths:
            _temporary(path).unlink(missing_ok=True)
    entries |= {
        name: dataset_entry(files[split]["name"], settings.format, settings.base) for split, name in names.items()
    }
    records.write_json(output / "dataset_info.json", entries)
    report = _report(candidates, files, counts, settings)
    records.write_json(output / f"{settings.name}.report.json", report)
    write_card(output / f"{settings.name}.card.md", report)
    return report, paths


def _write_split(
    candidates: Candidates, numbers: list[int], split: str, path: Path, lines: Any, settings: Settings
) -> dict[str, Any]:
    """Writes the rows of a split, and a line for each into the file of sources. What the report says of it."""
    file, prompts = RowFile(_temporary(path), settings.format, settings.base), Prompts(settings.prompt_file)
    for number in tqdm(numbers, unit="row", desc=f"{split} rows"):
        row, answer = candidates.table[number], candidates.path(number)
        record = records.read_record(answer)
        file.add(make_row(record, prompts, settings.base))
        source = {
            "split": split,
            "file": str(answer),
            "question_id": int(row["question"]),
            "sample_index": int(row["sample"]),
            "problem": f"{row['problem']:016x}",
            _unit(settings): int(row["length"]),
            "sha256": hashlib.sha256(record["converted_text"].encode()).hexdigest(),
        }
        lines.write(json.dumps(source, ensure_ascii=False) + "\n")
    table = candidates.table[numbers]
    return {
        "name": path.name,
        "rows": len(numbers),
        "problems": len(np.unique(table["problem"])),
        "longest": int(table["length"].max(initial=0)),
        "digest": file.close(),
    }


def counts_by_folder(counts: Counter, folders: int) -> dict[str, list[int]]:
    """The answers by what became of them, for each folder; together they are all that were there."""
    names = (*FILTERS, OTHER_PROBLEM, OTHER_ROWS, ROW)
    table = {name: [counts[folder, name] for folder in range(folders)] for name in names}
    return {name: numbers for name, numbers in table.items() if any(numbers) or name == ROW}


def _report(candidates: Candidates, files: dict[str, Any], counts: Counter, settings: Settings) -> dict[str, Any]:
    folders = [
        {**describe_folder(folder), "answers": candidates.answers[number], "rows": counts[number, ROW]}
        for number, folder in enumerate(candidates.folders)
    ]
    return {
        "name": settings.name,
        "settings": _as_json(settings),
        "files": files,
        "unit": _unit(settings),
        "sources": f"{settings.name}.sources.jsonl",
        "folders": folders,
        "counts": counts_by_folder(counts, len(folders)),
        "compared_with": candidates.tests,
        "contaminated": candidates.contaminated,
        "versions": versions(),
    }


def _other_entries(folder: Path, name: str) -> dict[str, Any]:
    """What dataset_info.json has of other datasets."""
    path = folder / "dataset_info.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); mend or delete it") from None
    require(isinstance(entries, dict), f"{path} is no JSON object; mend or delete it")
    return {key: entry for key, entry in entries.items() if key not in (name, f"{name}_validation")}


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _as_json(settings: Settings) -> dict[str, Any]:
    return json.loads(json.dumps(dict(settings)))


def _unit(settings: Settings) -> str:
    """What the length of a row is counted in."""
    return "tokens" if settings.cutoff_len else "characters"
