"""Names of a run folder's files, and which of them exist.

runs/lab/instruct/
    run.json                                      script, settings, models, problem set, versions, start and end
    question_12_sample_0.json                     steps 1a, 1b: the raw answer
    converted_question_12_sample_0.json           step 2: and its `converted_text`; step 3 adds the verdict
    converted_question_12_sample_0_with_embeddings.json
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from hindsight.errors import UserError

_KINDS = {
    "sample": re.compile(r"question_(\d+)_sample_(\d+)\.json"),
    "converted": re.compile(r"converted_question_(\d+)_sample_(\d+)\.json"),
    "embedded": re.compile(r"converted_question_(\d+)_sample_(\d+)_with_embeddings\.json"),
}


def sample_path(folder: Path, question_id: int, sample_index: int) -> Path:
    """The file of a raw answer."""
    return folder / f"question_{question_id}_sample_{sample_index}.json"


def converted_path(folder: Path, question_id: int, sample_index: int) -> Path:
    """The file of a converted answer."""
    return folder / f"converted_question_{question_id}_sample_{sample_index}.json"


def embedded_path(folder: Path, question_id: int, sample_index: int) -> Path:
    """The file of a converted answer with its embeddings."""
    return folder / f"converted_question_{question_id}_sample_{sample_index}_with_embeddings.json"


def list_files(folder: Path, kind: str) -> dict[tuple[int, int], Path]:
    """The files of a kind ("sample", "converted", "embedded") by (question_id, sample_index), in order of these."""
    found = {}
    for entry in os.scandir(folder):
        match = _KINDS[kind].fullmatch(entry.name)
        if match:
            found[int(match[1]), int(match[2])] = folder / entry.name
    return dict(sorted(found.items()))


def existing_samples(folder: Path, kind: str) -> dict[int, int]:
    """The files of a kind: by question id a number whose bit j is set if sample j exists. A few bytes per problem."""
    there: dict[int, int] = {}
    for entry in os.scandir(folder):
        match = _KINDS[kind].fullmatch(entry.name)
        if match:
            there[int(match[1])] = there.get(int(match[1]), 0) | 1 << int(match[2])
    return there


def sample_keys(there: dict[int, int], without: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The (question_id, sample_index) of each sample in `there` and not in `without`, in order."""
    for question_id in sorted(there):
        bits = there[question_id] & ~without.get(question_id, 0)
        while bits:
            lowest = bits & -bits
            yield question_id, lowest.bit_length() - 1
            bits ^= lowest


def broken_samples(folder: Path) -> list[str]:
    """The raw answers whose files are incomplete."""
    paths = (Path(entry.path) for entry in os.scandir(folder) if _KINDS["sample"].fullmatch(entry.name))
    return sorted(str(path) for path in paths if not _ends_as_json(path))


def _ends_as_json(path: Path) -> bool:
    """Whether a file ends as a JSON object does: after a power cut a renamed file can be empty or hold zeros."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 2))
        return file.read().strip().endswith(b"}")


def require_files(folder: Path, kind: str) -> dict[tuple[int, int], Path]:
    """As `list_files`; raises UserError when the folder is missing or has no file of the kind."""
    return _require_some(list_files, folder, kind)


def require_existing_samples(folder: Path, kind: str) -> dict[int, int]:
    """As `existing_samples`; raises UserError when the folder is missing or has no file of the kind."""
    return _require_some(existing_samples, folder, kind)


def _require_some(find: Callable[[Path, str], dict], folder: Path, kind: str) -> dict:
    made_by = {"sample": "single_model_inference.py", "converted": "format_converter.py", "embedded": "embed.py"}
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    files = find(folder, kind)
    if not files:
        raise UserError(f"{folder} has no {kind} files; run {made_by[kind]} first, or give another folder")
    return files
