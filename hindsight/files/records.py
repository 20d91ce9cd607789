"""The files between the scripts: one answer is one JSON file, a folder of them is a run, `run.json` says what made it.

    runs/lab/instruct/
        run.json                                      script, settings, models, problem set, versions, start and end
        question_12_sample_0.json                     steps 1a, 1b: the raw answer
        converted_question_12_sample_0.json           step 2: and its `converted_text`; step 3 adds the verdict
        converted_question_12_sample_0_with_embeddings.json

An answer file:

    {"prompt": [{"role": "system", "content": "You solve ..."}, ...],
     "generated_text": "<begin_of_slow_thought>\\n\\nThe sum of ...",
     "metadata": {"question": "...", "difficulty": "EASY", "fn_name": null,
                  "origin": {"dataset": "lab", "split": "test", "digest": "sha256:...", "row": 3}},
     "question_id": 12, "sample_index": 0,
     "generation_config": {"model": "lab-instruct", "temperature": 0.7, "top_p": 0.7, "max_tokens": 512, "seed": 81},
     "finish_reason": "stop", "usage": {"prompt_tokens": 212, "completion_tokens": 141}}

Files are written under a temporary name and renamed, so a killed run leaves whole files or none.
"""

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile, UserError

LINE = 120  # the longest object that is written in one line
_TEXT, _ESCAPED = json.JSONEncoder(ensure_ascii=False).encode, json.JSONEncoder().encode
_KINDS = {
    "sample": re.compile(r"question_(\d+)_sample_(\d+)\.json"),
    "converted": re.compile(r"converted_question_(\d+)_sample_(\d+)\.json"),
    "embedded": re.compile(r"converted_question_(\d+)_sample_(\d+)_with_embeddings\.json"),
}


def sample_path(folder: Path, question_id: int, sample_index: int) -> Path:
    """Where a raw answer lies."""
    return folder / f"question_{question_id}_sample_{sample_index}.json"


def converted_path(folder: Path, question_id: int, sample_index: int) -> Path:
    """Where a converted answer lies."""
    return folder / f"converted_question_{question_id}_sample_{sample_index}.json"


def embedded_path(folder: Path, question_id: int, sample_index: int) -> Path:
    """Where a converted answer with its embeddings lies."""
    return folder / f"converted_question_{question_id}_sample_{sample_index}_with_embeddings.json"


def list_files(folder: Path, kind: str) -> dict[tuple[int, int], Path]:
    """The files of a kind ("sample", "converted", "embedded") by (question_id, sample_index), in order of these."""
    found = {}
    for entry in os.scandir(folder):
        match = _KINDS[kind].fullmatch(entry.name)
        if match:
            found[int(match[1]), int(match[2])] = folder / entry.name
    return dict(sorted(found.items()))


def existing(folder: Path, kind: str) -> dict[int, int]:
    """The files of a kind: by question id a number whose bit j is set when sample j is there. Few bytes a problem."""
    there: dict[int, int] = {}
    for entry in os.scandir(folder):
        match = _KINDS[kind].fullmatch(entry.name)
        if match:
            there[int(match[1])] = there.get(int(match[1]), 0) | 1 << int(match[2])
    return there


def keys_of(there: dict[int, int], without: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The (question_id, sample_index) of what `existing` found, in order, but for what it found elsewhere."""
    for question_id in sorted(there):
        bits = there[question_id] & ~without.get(question_id, 0)
        while bits:
            lowest = bits & -bits
            yield question_id, lowest.bit_length() - 1
            bits ^= lowest


def broken_samples(folder: Path) -> list[str]:
    """The raw answers that end in their middle."""
    paths = (Path(entry.path) for entry in os.scandir(folder) if _KINDS["sample"].fullmatch(entry.name))
    return sorted(str(path) for path in paths if not _ends_as_json(path))


def _ends_as_json(path: Path) -> bool:
    """Whether a file's end is that of an object: what a power cut leaves of a renamed file is empty, or zeros."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 2))
        return file.read().strip().endswith(b"}")


def require_files(folder: Path, kind: str) -> dict[tuple[int, int], Path]:
    """As `list_files`; raises UserError when the folder is missing or has no file of the kind."""
    return _require_some(list_files, folder, kind)


def require_existing(folder: Path, kind: str) -> dict[int, int]:
    """As `existing`; raises UserError when the folder is missing or has no file of the kind."""
    return _require_some(existing, folder, kind)


def _require_some(find: Callable[[Path, str], dict], folder: Path, kind: str) -> dict:
    made_by = {"sample": "single_model_inference.py", "converted": "format_converter.py", "embedded": "embed.py"}
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    files = find(folder, kind)
    if not files:
        raise UserError(f"{folder} has no {kind} files; run {made_by[kind]} first, or give another folder")
    return files


def read_record(path: Path, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """One answer file. Raises BrokenFile when it is not a JSON object or lacks one of the keys."""
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{path} is not whole JSON ({error})") from None
    if not isinstance(record, dict):
        raise BrokenFile(f"{path} holds a {type(record).__name__}, expected an object")
    missing = [key for key in keys if key not in record]
    if missing:
        raise BrokenFile(f"{path} lacks {', '.join(missing)}")
    return record


def read_records(
    files: dict[tuple[int, int], Path], keys: tuple[str, ...], broken: list[str]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every whole record of the files, one at a time; what is wrong with the others is added to `broken`.

    `question_id` and `sample_index` are set from the file's name where the record lacks them.
    """
    for (question_id, sample_index), path in files.items():
        try:
            record = read_record(path, keys)
        except BrokenFile as error:
            broken.append(str(error))
            continue
        record.setdefault("question_id", question_id)
        record.setdefault("sample_index", sample_index)
        yield path, record


def write_json(path: Path, record: Any) -> None:
    """Writes JSON to a temporary file beside `path` and renames it: a reader sees the whole file or none."""
    try:
        content = _layout(record, "", _TEXT).encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot hold but JSON's escapes can
        content = _layout(record, "", _ESCAPED).encode("ascii")
    write_bytes(path, content + b"\n")


def _layout(value: Any, indent: str, encode: Callable[[Any], str]) -> str:
    """JSON with a line for each key and item, but short or flat ones in one line: to be read by people too."""
    if not value or not isinstance(value, dict | list | tuple):
        return encode(value)
    items = value.values() if isinstance(value, dict) else value
    if not any(isinstance(item, dict | list | tuple) for item in items) and indent:
        line = encode(value)
        if len(line) <= LINE or not isinstance(value, dict):
            return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        lines = [f"{encode(str(key))}: {_layout(item, deeper, encode)}" for key, item in value.items()]
    else:
        lines = [_layout(item, deeper, encode) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{last}"


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and renames it. Raises OSError, leaving no temporary file behind."""
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that killed processes of this machine left in the folder."""
    for path in folder.glob(f".*.{socket.gethostname()}.*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and not _runs(pid):
            path.unlink(missing_ok=True)


def _runs(pid: str) -> bool:
    """Whether a process of this machine runs: one that has ended, and whose parent has not asked how, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
