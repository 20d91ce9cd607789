"""The answers of run folders as plain data: a list of `Answer` per run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.reading.run_folders import RUNS, run_folder
from hindsight.errors import UserError
from hindsight.files import answer_files, records
from hindsight.files.runs import converted_files, raw_folder
from hindsight.files.verdicts import Outcome, counts_as, verdict_name
from hindsight.text.program_choice import UNKNOWN_TARGET, find_program, target_of
from hindsight.text.uniform_format import split_uniform

# The types of the values of an answer file; most may be missing or null
TYPES: dict[str, Any] = {"generated_text": str, "question_id": int, "sample_index": int, "correctness": bool | None}
TYPES |= dict.fromkeys(("converted_text", "correctness_reason", "finish_reason"), str | None)
TYPES |= dict.fromkeys(("metadata", "usage", "generation_config", "conversion", "merged_from"), dict | None)
TYPES |= dict.fromkeys(("segments", "test_results"), list | None)


@dataclass(frozen=True)
class Answer:
    """One answer.

    outcome: what it counts as; verdict: the same in words, with the reason for a wrong answer ("runtime error").
    code: its program, None without one; tokens: its length, None where the server did not report it. segments: the
    turns of a switching answer. thought: as step 2 converted it, None for an answer without a conversion.
    """

    run: str
    question_id: int
    sample_index: int
    question: str
    difficulty: str
    text: str
    code: str | None
    outcome: Outcome
    verdict: str
    tokens: int | None
    segments: list[dict[str, Any]]
    thought: str | None = None
    finish_reason: str | None = None

    @property
    def key(self) -> tuple[int, int]:
        """(question_id, sample_index)."""
        return self.question_id, self.sample_index

    @property
    def is_correct(self) -> bool:
        return self.outcome is Outcome.CORRECT

    @property
    def in_format(self) -> bool:
        """Whether the model ended the raw answer itself, as two sections in the uniform format with a program."""
        return is_in_format(self.text, self.finish_reason)


def is_in_format(text: str, finish_reason: str | None) -> bool:
    """Whether a model ended a raw answer itself, as two sections in the uniform format with a program."""
    whole = finish_reason == "stop" and split_uniform(text) is not None
    return whole and find_program(text, UNKNOWN_TARGET) is not None


def load_runs(runs: Sequence[str] = RUNS, parent: Path | None = None) -> dict[str, list[Answer]]:
    """The answers of each run in `parent`, by default of the demo's runs, ordered by question and sample.

    Raises UserError when a run is missing or broken, or when one question id names different problems in two runs.
    """
    found = {run: load_answers(run_folder(run, parent), run) for run in runs}
    require_same_problems(found)
    return found


def require_same_problems(runs: dict[str, list[Answer]]) -> None:
    """Raises UserError when one question id names different problems in two runs."""
    texts: dict[int, tuple[str, str]] = {}
    for run, answers in runs.items():
        for answer in (each for each in answers if each.question):  # a file of another script can lack the text
            first, text = texts.setdefault(answer.question_id, (run, answer.question))
            if text != answer.question:
                where = (
                    f"is one problem in {first} and another in {run}" if first != run else f"is two problems in {run}"
                )
                raise UserError(f"question {answer.question_id} {where}")


def load_answers(folder: Path, run: str) -> list[Answer]:
    """The answers of a run folder, including those that were not converted, ordered by question and sample.

    Raises UserError when there are none or a file is broken.
    """
    converted = converted_files(folder)
    raw = answer_files.list_files(raw_folder(folder), "sample")
    broken: list[str] = []
    files = dict(sorted({**raw, **converted}.items()))
    answers = [make_answer(record, run) for record in whole_records(files, broken)]
    if broken:
        raise UserError(f"{len(broken)} files are broken, the first: {broken[0]}")
    return answers


def whole_records(files: dict[tuple[int, int], Path], broken: list[str]) -> Iterator[records.AnswerRecord]:
    """The records whose values have the types that the steps write; adds a sentence to `broken` for each other file."""
    for path, record in records.read_records(files, ("generated_text",), broken):
        wrong = [key for key, kind in TYPES.items() if not isinstance(record.get(key), kind)]
        if wrong:
            broken.append(f"{path}: its {wrong[0]} is of type {type(record.get(wrong[0])).__name__}")
        else:
            yield record


def make_answer(record: records.AnswerRecord, run: str) -> Answer:
    """The answer in the record of a raw or a converted file."""
    converted, metadata = record.get("converted_text"), record.get("metadata") or {}
    sections = split_uniform(converted) if converted else None
    return Answer(
        run=run,
        question_id=record["question_id"],
        sample_index=record["sample_index"],
        question=metadata.get("question") or "",
        difficulty=metadata.get("difficulty") or "",
        text=record.get("generated_text", ""),
        code=find_program(converted, target_of(metadata)) if converted else None,
        outcome=counts_as(record),
        verdict=verdict_name(record),
        tokens=(record.get("usage") or {}).get("completion_tokens"),
        segments=record.get("segments") or [],
        thought=sections[0] if sections else None,
        finish_reason=record.get("finish_reason"),
    )


def by_problem(answers: Iterable[Answer]) -> dict[int, list[Answer]]:
    """The answers to each problem."""
    problems: dict[int, list[Answer]] = {}
    for answer in answers:
        problems.setdefault(answer.question_id, []).append(answer)
    return problems


def answers_to(runs: dict[str, list[Answer]], question_id: int, sample_index: int = 0) -> list[Answer]:
    """One answer to a problem from each run that has it."""
    return [a for answers in runs.values() for a in answers if a.key == (question_id, sample_index)]


def lengths(runs: dict[str, list[Answer]]) -> dict[str, list[int]]:
    """The length in tokens of each run's answers, where the server reported it."""
    return {run: [a.tokens for a in answers if a.tokens is not None] for run, answers in runs.items()}
