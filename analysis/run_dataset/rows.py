"""An answer as a row: columns to work with, and its files, so that they come back byte for byte.

A file is kept whole, except that its long texts, which have columns of their own, are replaced by marks:

    {"generated_text": "The sum of ..."}   ->   {"generated_text": \\0generated_text:text\\0}

A mark names the column, and how the text was written in JSON: `text`, or `ascii` with escapes. JSON has no raw zero
bytes, so a mark cannot be mistaken for anything else. A file that does have one is not an answer, and is kept beside
the rows.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hindsight.errors import BrokenFile
from hindsight.files.verdicts import counts_as

KINDS = ("sample", "converted", "embedded")  # of `answer_files`
TEXTS = ("prompt", "generated_text", "converted_text", "question")  # columns whose text is cut out of the files
SHORTEST = 40  # characters of a text that is cut out
SCHEMA = pa.schema(
    [
        ("question_id", pa.int64()),
        ("sample_index", pa.int64()),
        ("question", pa.string()),
        ("difficulty", pa.string()),
        ("model", pa.string()),
        ("alpha", pa.string()),
        ("prompt", pa.string()),  # chat messages as JSON
        ("generated_text", pa.string()),
        ("converted_text", pa.string()),
        ("outcome", pa.string()),  # one of `hindsight.files.verdicts.Outcome`; null if the converted file is broken
        ("correctness", pa.bool_()),
        ("correctness_reason", pa.string()),
        ("test_results", pa.string()),  # JSON
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("generation_config", pa.string()),  # JSON: what was sent to the server
        *[(f"{kind}_file", pa.binary()) for kind in KINDS],
    ]
)
_ENCODERS = {"text": json.JSONEncoder(ensure_ascii=False).encode, "ascii": json.JSONEncoder().encode}
_MARK = re.compile(rb"\0(\w+):(\w+)\0")


@dataclass
class AnswerRow:
    """The row of one answer, the content of its files by kind, and a sentence for each file that is broken instead."""

    values: dict[str, Any]
    contents: dict[str, bytes]
    broken: dict[Path, str]


def make_row(key: tuple[int, int], files: Mapping[str, Path], model: str, alpha: str | None) -> AnswerRow:
    """The row of an answer by (question_id, sample_index), from its files by kind."""
    record, contents, broken = {}, {}, {}
    for kind, path in files.items():
        content = path.read_bytes()
        try:
            found = _parse(content, path)
            record |= found if kind != "embedded" else {}  # its verdict can be older than that of the converted file
            contents[kind] = content
        except BrokenFile as error:
            broken[path] = str(error)
    values = {**_columns(record), "question_id": key[0], "sample_index": key[1], "model": model, "alpha": alpha}
    if files.get("converted") in broken:
        values["outcome"] = None  # the raw answer alone would count as not converted
    values |= {f"{kind}_file": None for kind in KINDS}
    values |= {f"{kind}_file": cut(content, values) for kind, content in contents.items()}
    return AnswerRow(values, contents, broken)


def cut(content: bytes, values: Mapping[str, Any]) -> bytes:
    """A JSON file with marks in the place of the long texts that `values` has; `restore` is the way back."""
    texts = {name: values[name] for name in TEXTS if len(values[name] or "") >= SHORTEST}
    for name, text in sorted(texts.items(), key=lambda item: -len(item[1])):
        for how, encode in _ENCODERS.items():
            content = content.replace(encode(text).encode(), f"\0{name}:{how}\0".encode())
    return content


def restore(content: bytes, values: Mapping[str, Any]) -> bytes:
    """The original of a file that `cut` returned."""
    return _MARK.sub(lambda mark: _ENCODERS[mark[2].decode()](values[mark[1].decode()]).encode(), content)


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    """The record in a file. Raises BrokenFile as `records.read_record` does, and for zero bytes."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{path} is not valid JSON ({error})") from None
    if not isinstance(record, dict) or b"\0" in content:
        raise BrokenFile(f"{path} holds no JSON object in UTF-8")
    return record


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    """The columns of a record, None for one that is missing or has another type; its file keeps the original."""
    metadata, usage = (_of_type(record.get(key), dict) or {} for key in ("metadata", "usage"))
    prompt, results = record.get("prompt"), record.get("test_results")
    return {
        "question": _text(metadata.get("question")),
        "difficulty": _text(metadata.get("difficulty")),
        "prompt": _text(prompt) if isinstance(prompt, str) else _json(prompt),
        "generated_text": _text(record.get("generated_text")),
        "converted_text": _text(record.get("converted_text")),
        "outcome": str(counts_as(record)),
        "correctness": _of_type(record.get("correctness"), bool),
        "correctness_reason": _text(record.get("correctness_reason")),
        "test_results": _json(results),
        "finish_reason": _text(record.get("finish_reason")),
        "prompt_tokens": _count(usage.get("prompt_tokens")),
        "completion_tokens": _count(usage.get("completion_tokens")),
        "generation_config": _json(record.get("generation_config")),
    }


def _of_type(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None


def _count(value: Any) -> int | None:
    """A number that fits into 64 bits."""
    return value if isinstance(value, int) and abs(value) < 1 << 63 else None


def _text(value: Any) -> str | None:
    """A text as Parquet can hold it: half of a surrogate pair becomes a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
