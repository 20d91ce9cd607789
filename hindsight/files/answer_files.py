"""Names of a run folder's files, and which of them exist.

runs/lab/instruct/
    run.json                                      script, settings, models, problem set, versions, start and end
    question_12_sample_0.json                     steps 1a, 1b: the raw answer
    converted_question_12_sample_0.json           step 2: the same with `converted_text`; step 3 adds the verdict
    no_answers.json                               step 2: the raw files that hold no answer, each with the reason
    converted_question_12_sample_0_with_embeddings.json
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.records import read_record

_NAMES = {
    "sample": "question_{}_sample_{}.json",
    "converted": "converted_question_{}_sample_{}.json",
    "embedded": "converted_question_{}_sample_{}_with_embeddings.json",
}
# Numbers as these scripts write them, a sample's index below MOST_SAMPLES; a file of another name is no answer.
MOST_SAMPLES = 10**6
QUESTION, INDEX = "(0|[1-9][0-9]*)", "(0|[1-9][0-9]{0,5})"
_PATTERNS = {kind: re.compile(name.replace(".", r"\.").format(QUESTION, INDEX)) for kind, name in _NAMES.items()}
_MADE_BY = {"sample": "single_model_inference.py", "converted": "format_converter.py", "embedded": "embed.py"}
NO_ANSWERS = "no_answers.json"


def _path(kind: str, folder: Path, question_id: int, sample_index: int) -> Path:
    return folder / _NAMES[kind].format(question_id, sample_index)


# The file of an answer, by (folder, question_id, sample_index): raw, converted, and converted with its embeddings.
sample_path, converted_path, embedded_path = (partial(_path, kind) for kind in _NAMES)


def list_files(folder: Path, kind: str) -> dict[tuple[int, int], Path]:
    """The files of a kind ("sample", "converted", "embedded") by (question_id, sample_index), in this order."""
    return {key: _path(kind, folder, *key) for key in sample_keys(existing_samples(folder, kind), without={})}


def existing_samples(folder: Path, kind: str) -> dict[int, int]:
    """The files of a kind: by question id a number whose bit j is set if sample j exists. A few bytes per problem."""
    there: dict[int, int] = {}
    for entry in os.scandir(folder):
        match = _PATTERNS[kind].fullmatch(entry.name)
        if match:
            there[int(match[1])] = there.get(int(match[1]), 0) | 1 << int(match[2])
    return there


def has_samples(folder: Path) -> bool:
    """Whether a folder has a raw answer."""
    with os.scandir(folder) as entries:
        return any(_PATTERNS["sample"].fullmatch(entry.name) for entry in entries)


def sample_keys(there: dict[int, int], without: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The (question_id, sample_index) of each sample in `there` and not in `without`, in order."""
    for question_id in sorted(there):
        bits = there[question_id] & ~without.get(question_id, 0)
        while bits:
            lowest = bits & -bits
            yield question_id, lowest.bit_length() - 1
            bits ^= lowest


def read_no_answers(folder: Path) -> set[tuple[int, int]]:
    """The (question_id, sample_index) of the raw files that hold no answer, as step 2 found; empty before it ran.

    Raises UserError if the file that lists them is broken.
    """
    path = folder / NO_ANSWERS
    try:
        names = read_record(path) if path.exists() else {}
    except BrokenFile as error:
        raise UserError(f"{error}; delete it, and format_converter.py writes it again") from None
    return {(int(match[1]), int(match[2])) for name in names if (match := _PATTERNS["sample"].fullmatch(name))}


def broken_samples(folder: Path) -> list[str]:
    """The raw answers whose files are incomplete or cannot be read."""
    paths = (sample_path(folder, *key) for key in sample_keys(existing_samples(folder, "sample"), without={}))
    return sorted(str(path) for path in paths if not _ends_as_json(path))


def _ends_as_json(path: Path) -> bool:
    """Whether a file ends as a JSON object does: after a power cut a renamed file can be empty or hold zeros."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2))
            return file.read().strip().endswith(b"}")
    except (IsADirectoryError, PermissionError):
        return False


def require_files(folder: Path, kind: str) -> dict[tuple[int, int], Path]:
    """As `list_files`; raises UserError when the folder is missing or has no file of the kind."""
    require_existing_samples(folder, kind)
    return list_files(folder, kind)


def require_existing_samples(folder: Path, kind: str) -> dict[int, int]:
    """As `existing_samples`; raises UserError when the folder is missing or has no file of the kind."""
    require(folder.is_dir(), f"there is no folder {folder}")
    found = existing_samples(folder, kind)
    require(bool(found), f"{folder} has no {kind} files; run {_MADE_BY[kind]} first, or give another folder")
    return found
