"""Writes a run as EvalPlus's samples, which `evalplus.evaluate` and `SkyThought/evaluate_samples.py` judge.

    {"task_id": "Mbpp/2", "solution": "def similar_elements(a, b):\\n    return ..."}
    {"task_id": "Mbpp/2", "solution": ""}

One line per sampled answer, by question and sample: an answer without a program has an empty solution, so that a task
has as many samples in EvalPlus as here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from hindsight.errors import BrokenFile, UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import AnswerRecord, read_answer, write_bytes
from hindsight.files.runs import converted_files, raw_folder
from hindsight.text.program_choice import find_program, target_of


def export_evalplus(folder: Path, output: Path) -> str:
    """Writes the answers of a converted run folder to a JSONL file; returns a sentence that says how many.

    Raises UserError for an answer that names no task of EvalPlus, or whose file is broken.
    """
    samples = list(_samples(folder))
    lines = [json.dumps({"task_id": task, "solution": program}) for task, program in samples]
    output.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(output, "".join(f"{line}\n" for line in lines).encode())
    tasks, empty = len({task for task, _ in samples}), sum(not program for _, program in samples)
    return f"{output}: {len(samples)} samples of {tasks} tasks in EvalPlus's form, {empty} of them without a program"


def _samples(folder: Path) -> Iterator[tuple[str, str]]:
    """The task and the program of each answer, "" for no program."""
    converted = converted_files(folder)
    files = {**list_files(raw_folder(folder), "sample"), **converted}
    for key in sorted(files):
        try:
            record = read_answer(files[key], ("metadata",))
        except BrokenFile as error:
            raise UserError(f"{error}; repair or delete it before the run is exported") from None
        yield _task_of(record, files[key]), _program_of(record) if key in converted else ""


def _program_of(record: AnswerRecord) -> str:
    return find_program(record.get("converted_text", ""), target_of(record.get("metadata"))) or ""


def _task_of(record: AnswerRecord, path: Path) -> str:
    task = (record.get("metadata") or {}).get("task_id")
    if not isinstance(task, str):
        raise UserError(f"{path} names no task of EvalPlus: only runs of its sets can be exported")
    return task
