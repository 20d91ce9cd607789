"""The files of a fine-tuning dataset: rows, the source of each row, the report, LLaMA-Factory's list of datasets.

Rows are written to temporary files that are renamed at the end, so an old dataset remains until the new one is whole.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

from hindsight.curation.candidates import Candidates
from hindsight.curation.dataset_card import describe_folder, write_card
from hindsight.curation.filters import FILTERS
from hindsight.curation.row_files import SUFFIXES, WRITERS, RowWriter, dataset_entry
from hindsight.curation.selection import OTHER_PROBLEM, OTHER_ROWS, ROW
from hindsight.curation.training_rows import RowOptions, make_row
from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import records
from hindsight.files.runs import versions
from hindsight.problem_sets.local_files import file_digest

MAY_DIFFER = ("output_dir", "workers", "overwrite", "push_to_hub")  # settings that do not change the data
NOT_IN_NAMES = "<>:/\\|?*,"  # `datasets` refuses these letters in names, and LLaMA-Factory splits lists at commas
EARLIER = {"system_prompt": True}  # the behaviour before this setting existed; the other new ones were off


@dataclass(frozen=True)
class DatasetOptions:
    """Where a dataset is written, in which format; `settings` are those of the script, which its report records.

    Raises UserError for an unknown format, and for a name that `datasets` or LLaMA-Factory cannot read.
    """

    output_dir: str
    name: str
    format: str
    overwrite: bool
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        require(self.format in SUFFIXES, f"FORMAT is one of {', '.join(SUFFIXES)}, not {self.format!r}")
        named = bool(self.name.strip()) and not set(self.name) & set(NOT_IN_NAMES)
        require(named, f"NAME is a name without {' '.join(NOT_IN_NAMES)}, not {self.name!r}")

    def path(self, suffix: str) -> Path:
        """The dataset's file with a suffix."""
        return Path(self.output_dir) / f"{self.name}{suffix}"

    def recorded_settings(self) -> dict[str, Any]:
        """The settings as JSON returns them."""
        return json.loads(json.dumps(dict(self.settings)))


def require_same_data(options: DatasetOptions, files: dict[str, Any] | None = None) -> None:
    """Raises UserError if a dataset of this name has other settings or other files, unless OVERWRITE is true."""
    path = options.path(".report.json")
    if options.overwrite or not path.exists():
        return
    try:
        made = records.read_record(path, ("settings", "files"))
    except BrokenFile as error:
        raise UserError(f"{error}; repair or delete it") from None
    now = options.recorded_settings()
    before = {**EARLIER, **made["settings"]}
    differing = [key for key in now if key not in MAY_DIFFER and (before.get(key) or None) != (now[key] or None)]
    cause = f"by other settings ({', '.join(differing)})" if differing else "of other answers"
    same = not differing and (files is None or made["files"] == files)
    require(same, f"the dataset {options.name} in {path.parent} was made {cause}; give another --name, or --overwrite")


def write_dataset(
    candidates: Candidates,
    splits: dict[str, list[int]],
    counts: Counter[tuple[int, str]],
    options: DatasetOptions,
    row_options: RowOptions,
) -> tuple[dict[str, Any], list[Path]]:
    """Writes the dataset whose rows are the candidates of each split. Returns its report, and the files to publish.

    Raises UserError as `require_same_data` does, and if dataset_info.json is not JSON; then no file has changed.
    """
    Path(options.output_dir).mkdir(parents=True, exist_ok=True)
    entries = _other_entries(options)
    files, paths = _write_data_files(candidates, splits, options, row_options)
    for split, file in files.items():
        entries[_split_name(options, split)] = dataset_entry(file["name"], options.format, row_options.base)
    records.write_json(Path(options.output_dir) / "dataset_info.json", entries)
    report = _report(candidates, splits, files, counts, options)
    records.write_json(options.path(".report.json"), report)
    write_card(options.path(".card.md"), report)
    return report, paths


def _write_data_files(
    candidates: Candidates, splits: dict[str, list[int]], options: DatasetOptions, row_options: RowOptions
) -> tuple[dict[str, Any], list[Path]]:
    """Writes the files of rows and of sources; returns what the report says about each split's file, and all paths."""
    sources = options.path(".sources.jsonl")
    by_split = {split: sources.with_name(_split_name(options, split) + SUFFIXES[options.format]) for split in splits}
    paths, files = [*by_split.values(), sources], {}
    try:
        with _temporary(sources).open("w", encoding="utf-8") as lines:
            for split, path in by_split.items():
                file = WRITERS[options.format](_temporary(path), row_options.base)
                rows = _write_rows(candidates, splits[split], split, file, lines, row_options)
                file.close()
                files[split] = {"name": path.name, **rows, "digest": file_digest(_temporary(path))}
        require_same_data(options, files)
        for path in paths:
            _temporary(path).replace(path)
    finally:
        for path in paths:
            _temporary(path).unlink(missing_ok=True)
    return files, paths


def _write_rows(
    candidates: Candidates, numbers: list[int], split: str, file: RowWriter, sources: TextIO, options: RowOptions
) -> dict[str, int]:
    """Writes the rows of a split, and a line per row to the file of sources; returns what the report counts."""
    prompts = options.prompts()
    for number in tqdm(numbers, unit="row", desc=f"{split} rows"):
        candidate, path = candidates.table[number], candidates.path(number)
        record = records.read_record(path)
        file.add(make_row(record, prompts, options.base, options.think_tags))
        source = {
            "split": split,
            "file": str(path),
            "question_id": int(candidate["question"]),
            "sample_index": int(candidate["sample"]),
            "problem": f"{candidate['problem']:016x}",
            candidates.unit: int(candidate["length"]),
            "sha256": hashlib.sha256(record["converted_text"].encode()).hexdigest(),
        }
        sources.write(json.dumps(source, ensure_ascii=False) + "\n")
    table = candidates.table[numbers]
    return {
        "rows": len(numbers),
        "problems": len(np.unique(table["problem"])),
        "longest": int(table["length"].max(initial=0)),
    }


def counts_by_folder(counts: Counter[tuple[int, str]], folders: int) -> dict[str, list[int]]:
    """How many answers of each folder each filter left out, and how many became rows; together all answers."""
    names = (*FILTERS, OTHER_PROBLEM, OTHER_ROWS, ROW)
    table = {name: [counts[folder, name] for folder in range(folders)] for name in names}
    return {name: numbers for name, numbers in table.items() if any(numbers) or name == ROW}


def _report(
    candidates: Candidates,
    splits: dict[str, list[int]],
    files: dict[str, Any],
    counts: Counter[tuple[int, str]],
    options: DatasetOptions,
) -> dict[str, Any]:
    table = candidates.table[[number for numbers in splits.values() for number in numbers]]
    other_prompts = Counter(table["folder"][table["other_prompts"]].tolist())
    folders = []
    for number, folder in enumerate(candidates.folders):
        facts = {"answers": candidates.answers[number], "rows": counts[number, ROW]}
        if other_prompts[number]:
            facts["other_prompts"] = other_prompts[number]
        folders.append({**describe_folder(folder), **facts})
    return {
        "name": options.name,
        "settings": options.recorded_settings(),
        "files": files,
        "unit": candidates.unit,
        "sources": options.path(".sources.jsonl").name,
        "folders": folders,
        "counts": counts_by_folder(counts, len(folders)),
        "compared_with": candidates.compared_with,
        "contaminated": candidates.contaminated,
        "versions": versions(),
    }


def _other_entries(options: DatasetOptions) -> dict[str, Any]:
    """The entries of other datasets in dataset_info.json."""
    path = Path(options.output_dir) / "dataset_info.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); repair or delete it") from None
    require(isinstance(entries, dict), f"{path} is not a JSON object; repair or delete it")
    own = [_split_name(options, split) for split in ("train", "validation")]
    return {name: entry for name, entry in entries.items() if name not in own}


def _split_name(options: DatasetOptions, split: str) -> str:
    """The name of a split in dataset_info.json."""
    return options.name if split == "train" else f"{options.name}_{split}"


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
