"""The records of a checked run by problem, their programs and their verdicts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import AnswerRecord, read_records
from hindsight.files.verdicts import Outcome, counts_as
from hindsight.text.program_choice import find_program, target_of


def records_by_question(folder: Path) -> dict[int, list[AnswerRecord]]:
    """The records of a run by question, each in order of its samples. Raises UserError when a file is broken."""
    broken: list[str] = []
    files = {**list_files(folder, "sample"), **list_files(folder, "converted")}
    found: dict[int, list[AnswerRecord]] = defaultdict(list)
    for _, record in read_records(dict(sorted(files.items())), ("generated_text", "metadata"), broken):
        found[record["question_id"]].append(record)
    if broken:
        raise UserError(f"{len(broken)} files of {folder} are broken, the first: {broken[0]}")
    return found


def programs_in(answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The programs of the converted answers that hold one."""
    converted = [answer for answer in answers if "converted_text" in answer]
    found = (find_program(answer["converted_text"], target_of(answer["metadata"])) for answer in converted)
    return [program for program in found if program is not None]


def is_correct(answer: Mapping[str, Any]) -> bool:
    """Whether an answer counts as correct. Raises UserError for one without a verdict."""
    outcome = counts_as(answer)
    if not outcome.is_sample:
        raise UserError(f"question {answer['question_id']} sample {answer['sample_index']} has no verdict: {outcome}")
    return outcome is Outcome.CORRECT
