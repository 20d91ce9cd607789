"""Reads and writes the files of a run: one answer is one JSON file, and each step adds keys to it.

    {"prompt": [{"role": "system", "content": "You solve ..."}, ...],
     "generated_text": "<begin_of_slow_thought>\\n\\nThe sum of ...",
     "metadata": {"question": "...", "difficulty": "MEDIUM", "fn_name": null,
                  "origin": {"dataset": "lab", "split": "test", "digest": "sha256:...", "row": 12}},
     "question_id": 12, "sample_index": 0,
     "thought_open": false,
     "generation_config": {"model": "lab-instruct", "temperature": 0.7, "top_p": 0.7, "max_tokens": 512,
                           "seed": 2108981488},
     "finish_reason": "stop", "usage": {"prompt_tokens": 80, "completion_tokens": 51},
     "converted_text": "<begin_of_slow_thought>\\n\\nThe sum of ...",
     "conversion": {"how": "rules", "rule": "sections", "kept": 1.0, "new": 0, "code": "equal"},
     "correctness": false, "correctness_reason": "wrong answer",
     "test_results": [{"index": 0, "passed": false, "reason": "wrong answer", "seconds": 0.0016,
                       "input": "...", "expected": "81\\n", "output": "81 1\\n"}]}

Files are written under a temporary name and renamed, so a killed run leaves whole files or none.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Required, TypedDict, cast

from hindsight.errors import BrokenFile

LINE = 120  # the longest object that is written in one line
DAY = 86_400.0  # seconds
_TEXT, _ESCAPED = json.JSONEncoder(ensure_ascii=False).encode, json.JSONEncoder().encode


class AnswerRecord(TypedDict, total=False):
    """One answer file. Files of the original repository lack some keys, and each step adds its own."""

    # steps 1a and 1b
    prompt: Any  # chat messages, a transcript, or with switching both, by role
    generated_text: str
    metadata: dict[str, Any]  # the problem without its tests, and its `origin`: where to find them
    question_id: Required[int]
    sample_index: Required[int]
    generation_config: dict[str, Any]  # what was sent to the server
    thought_open: bool  # whether the prompt, as the model received it, ended inside a thought; missing: no
    prompt_style: str  # the run's PROMPT_STYLE, if it is not the uniform format
    continues: str  # with it, the end of the prompt that the answer continues: code, or an opened code block
    stop_words: list[str]  # with it, what ends the answer: the first four were sent, step 2 cuts at all of them
    finish_reason: str | None  # "stop", "length"
    usage: dict[str, int]  # prompt_tokens, completion_tokens
    answered_as: str  # the model's name in the reply, if it is not the requested one; step 1b: in the segment
    segments: list[dict[str, Any]]  # step 1b: each turn's model and place in the text
    merged_from: dict[str, Any]  # a merged model: base, finetuned, alpha (by part: see hindsight.merging.alphas)
    token_ids: list[int] | None  # with LOGPROBS; None: the server sent none, or turns were joined as text
    logprobs: list[float | None]  # with LOGPROBS, natural logarithms
    # step 2
    converted_text: str
    conversion: dict[str, Any]
    # step 3
    correctness: bool | None  # None: could not be judged
    correctness_reason: str  # "" when correct, else one of `hindsight.files.verdicts.REASONS`
    test_results: list[dict[str, Any]]
    special_judge: str
    base_status: str  # of EvalPlus's sets: pass or fail by the base tests, and by the plus tests
    plus_status: str
    # analysis/embed.py, in a file beside the converted answer
    generated_embedding: list[float]
    converted_embedding: list[float]
    code_embedding: list[float] | None  # None: the answer holds no program
    embedding_model: str
    embedding_cut: list[str]


def read_record(path: Path, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """A file's JSON object. Raises BrokenFile when it cannot be read, is something else or lacks one of the keys."""
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{path} is not valid JSON ({error})") from None
    except OSError as error:
        raise BrokenFile(f"{path} cannot be read ({error.strerror})") from None
    if not isinstance(record, dict):
        raise BrokenFile(f"{path} holds a {type(record).__name__}, expected an object")
    missing = [key for key in keys if key not in record]
    if missing:
        raise BrokenFile(f"{path} lacks {', '.join(missing)}")
    return record


def read_answer(path: Path, keys: tuple[str, ...] = ()) -> AnswerRecord:
    """One answer file. Raises BrokenFile as `read_record` does."""
    return cast(AnswerRecord, read_record(path, keys))


def read_records(
    files: dict[tuple[int, int], Path], keys: tuple[str, ...], broken: list[str]
) -> Iterator[tuple[Path, AnswerRecord]]:
    """Every whole record of the files, one at a time; a sentence about each broken one is added to `broken`.

    `question_id` and `sample_index` are set from the file's name where the record lacks them.
    """
    for (question_id, sample_index), path in files.items():
        try:
            record = read_answer(path, keys)
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
    """JSON with a line for each key and item, but short or flat ones in one line, so that people can read it too."""
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
    """Removes temporary files that killed processes left in the folder: those of this machine, and all after a day.

    A container has another name each time it starts.
    """
    for path in folder.glob(".*.*.tmp"):
        pid, is_ours = path.name.split(".")[-2], f".{socket.gethostname()}." in path.name
        if pid.isdigit() and ((is_ours and not _runs(pid)) or _is_old(path)):
            path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    """Whether a file was last changed more than a day ago."""
    try:
        return path.stat().st_mtime < time.time() - DAY
    except FileNotFoundError:
        return False


def _runs(pid: str) -> bool:
    """Whether a process of this machine runs: one that has ended, and whose parent has not asked how, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
