"""Prompts and their answers, from a run folder or a .jsonl file, for a model to read."""

import json
import random
import re
from pathlib import Path
from typing import Any

from hindsight.errors import require
from hindsight.files import answer_files, records

KEYS = ("prompt", "generated_text")
_SURROGATE = re.compile("[\ud800-\udfff]")

Record = dict[str, Any]


def choose_answers(path: Path, most: int, seed: int, broken: list[str]) -> list[Record]:
    """Up to `most` answers of a run folder or a .jsonl file, chosen at random.

    Adds a sentence to `broken` for each unreadable one. Raises UserError when none can be read.
    """
    if path.suffix == ".jsonl":
        require(path.is_file(), f"there is no file {path}")
        lines = enumerate(path.read_bytes().splitlines(), 1)
        found: dict[Any, Any] = {number: line for number, line in lines if line.strip()}
    else:
        found = answer_files.require_files(path, "sample")
    if most and most < len(found):
        chosen = set(random.Random(seed).sample(sorted(found), most))
        found = {key: value for key, value in found.items() if key in chosen}
    if path.suffix == ".jsonl":
        whole = [record for number, line in found.items() if (record := read_line(path, number, line, broken))]
    else:
        answers = ((file, dict(record)) for file, record in records.read_records(found, KEYS, broken))
        whole = [record for file, record in answers if is_text(file, record, broken)]
    require(bool(whole), f"no answer of {path} can be read{'; the first: ' + broken[0] if broken else ''}")
    return whole


def read_line(path: Path, number: int, line: bytes, broken: list[str]) -> Record | None:
    """The answer on a line; without a `question_id` it counts as its own problem."""
    where = f"{path}, line {number}"
    try:
        record = json.loads(line)
    except ValueError as error:
        broken.append(f"{where} is not JSON ({error})")
        return None
    if not isinstance(record, dict) or any(key not in record for key in KEYS):
        broken.append(f"{where} is not an object with {' and '.join(KEYS)}")
        return None
    if isinstance(record.get("question_id"), list | dict):
        broken.append(f"{where}: question_id is a number or a text")
        return None
    return {"question_id": f"line {number}", "sample_index": 0, **record} if is_text(where, record, broken) else None


def is_text(where: Path | str, record: Record, broken: list[str]) -> bool:
    """Whether a model can read the prompt and the answer; adds a sentence to `broken` if not."""
    prompt = record["prompt"]
    if isinstance(prompt, dict):  # a switching answer has the prompts of both models
        prompt = prompt.get("instruct")
    chat = isinstance(prompt, list) and bool(prompt) and all(isinstance(message, dict) for message in prompt)
    fits = (isinstance(prompt, str) or chat) and isinstance(record["generated_text"], str)
    if not fits:
        broken.append(f"{where}: expected prompt as text or messages, and generated_text as text")
    elif _SURROGATE.search(json.dumps([prompt, record["generated_text"]], ensure_ascii=False)):
        broken.append(f"{where}: its text has half of a surrogate pair, which no tokenizer reads")
        return False
    return fits
