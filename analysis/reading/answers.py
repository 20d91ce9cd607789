"""The answers of run folders as plain data for the notebooks: a list of answers for each run.

The runs are those that `make demo` leaves in runs/lab, and `make loop` in runs/loop. The environment variables
HINDSIGHT_RUNS and HINDSIGHT_LOOP name other folders that have the same run folders in them, HINDSIGHT_MODELS another
one than lab/models with the checkpoints.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import UserError
from hindsight.files import answer_files, records
from hindsight.files.runs import raw_folder
from hindsight.text.code_blocks import extract_code

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("base", "switching", "alpha_0.7", "instruct")  # of `make demo`
LOOP_RUNS = ("start", "finetuned", "alpha_0.4", "alpha_0.7", "alpha_0.9")  # of `make loop`
NOT_CONVERTED = "not converted"
NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Answer:
    """One answer. `verdict` is "correct", a reason why not, "not converted" or "not judged"; `tokens` its length."""

    run: str
    question_id: int
    sample_index: int
    question: str
    difficulty: str
    prompt: Any
    text: str
    code: str | None
    verdict: str
    tokens: int | None
    segments: list[dict[str, Any]]

    @property
    def is_correct(self) -> bool:
        return self.verdict == "correct"


def runs_folder() -> Path:
    """The folder that the demo's run folders lie in."""
    return Path(os.environ.get("HINDSIGHT_RUNS") or ROOT / "runs" / "lab")


def loop_folder() -> Path:
    """The folder that the loop's run folders lie in."""
    return Path(os.environ.get("HINDSIGHT_LOOP") or ROOT / "runs" / "loop")


def models_folder() -> Path:
    """The folder that the checkpoints `base` and `instruct` lie in."""
    return Path(os.environ.get("HINDSIGHT_MODELS") or ROOT / "lab" / "models")


def run_folder(run: str, parent: Path | None = None) -> Path:
    """A run's folder, of the demo or of another parent. Raises UserError when it is not there."""
    parent = parent or runs_folder()
    if not (parent / run).is_dir():
        raise UserError(
            f"there is no run {run!r} in {parent}: make it by `make demo`, or `make loop`, or let the environment "
            "variable HINDSIGHT_RUNS, or HINDSIGHT_LOOP, name a folder that has it"
        )
    return parent / run


def load_runs(runs: Sequence[str] = RUNS, parent: Path | None = None) -> dict[str, list[Answer]]:
    """The answers of each run, by question and sample, of the demo or of another parent folder.

    Raises UserError for a run that is missing or broken, and when runs have other problems by the same ids.
    """
    found = {run: load_answers(run_folder(run, parent), run) for run in runs}
    require_same_problems(found)
    return found


def require_same_problems(runs: dict[str, list[Answer]]) -> None:
    """Raises UserError when runs have other problems by the same ids."""
    texts: dict[int, tuple[str, str]] = {}
    for run, answers in runs.items():
        for answer in answers:
            first, text = texts.setdefault(answer.question_id, (run, answer.question))
            if text != answer.question:
                raise UserError(f"question {answer.question_id} of {run} is another problem than in {first}")


def load_answers(folder: Path, run: str) -> list[Answer]:
    """The answers of a run folder, those that could not be converted included, in order of question and sample.

    Raises UserError when there are none, or a file is not whole.
    """
    converted = answer_files.require_files(folder, "converted")
    raw = answer_files.list_files(raw_folder(folder), "sample")
    broken: list[str] = []
    files = dict(sorted({**raw, **converted}.items()))
    answers = [make_answer(record, run) for _, record in records.read_records(files, ("generated_text",), broken)]
    if broken:
        raise UserError(f"{len(broken)} files are broken, the first: {broken[0]}")
    return answers


def make_answer(record: dict[str, Any], run: str) -> Answer:
    """An answer from the record of a raw or a converted file."""
    converted, metadata = record.get("converted_text"), record.get("metadata") or {}
    return Answer(
        run=run,
        question_id=record["question_id"],
        sample_index=record["sample_index"],
        question=metadata.get("question") or "",
        difficulty=metadata.get("difficulty") or "",
        prompt=record.get("prompt"),
        text=record["generated_text"],
        code=extract_code(converted) if converted else None,
        verdict=verdict_of(record),
        tokens=record.get("usage", {}).get("completion_tokens"),
        segments=record.get("segments", []),
    )


def verdict_of(record: dict[str, Any]) -> str:
    """The verdict without its particulars: "runtime error: ValueError" is "runtime error"."""
    if "converted_text" not in record:
        return NOT_CONVERTED
    if record.get("correctness") is None:
        return NOT_JUDGED
    return "correct" if record["correctness"] else (record.get("correctness_reason") or "").split(":")[0] or "incorrect"


def by_problem(answers: list[Answer]) -> dict[int, list[Answer]]:
    """The answers of each problem."""
    problems: dict[int, list[Answer]] = {}
    for answer in answers:
        problems.setdefault(answer.question_id, []).append(answer)
    return problems


def load_embeddings(folder: Path, kind: str = "converted") -> dict[tuple[int, int], np.ndarray]:
    """The embeddings of a run folder by (question_id, sample_index), each an array of [dimensions].

    `kind` is "generated", "converted" or "code", which answers without a program do not have. Raises UserError when the
    run is not embedded, or not all of its embedded answers are in this way.
    """
    files, key, broken = answer_files.list_files(folder, "embedded"), f"{kind}_embedding", []
    make = f"`python analysis/embed.py --input_dir {folder} --what {kind}`"
    if not files:
        raise UserError(f"{folder} has no embeddings; make them by {make}")
    whole = records.read_records(files, (key,), broken)
    vectors = {
        (record["question_id"], record["sample_index"]): np.array(record[key])
        for _, record in whole
        if record[key] is not None
    }
    if broken:
        raise UserError(f"{len(broken)} files are broken, the first: {broken[0]}; make what is missing by {make}")
    return vectors


def stack_by_problem(vectors: dict[tuple[int, int], np.ndarray]) -> dict[int, np.ndarray]:
    """Embeddings as one array of [answers, dimensions] for each problem."""
    problems: dict[int, list[np.ndarray]] = {}
    for (question_id, _), vector in vectors.items():
        problems.setdefault(question_id, []).append(vector)
    return {question_id: np.stack(rows) for question_id, rows in problems.items()}


def embedded_answers(
    answers: list[Answer], vectors: dict[tuple[int, int], np.ndarray], question_id: int
) -> tuple[list[Answer], np.ndarray]:
    """The answers to one problem that have embeddings, and these as [answers, dimensions]."""
    chosen = [a for a in answers if a.question_id == question_id and (question_id, a.sample_index) in vectors]
    return chosen, np.stack([vectors[question_id, answer.sample_index] for answer in chosen])


def answers_to(runs: dict[str, list[Answer]], question_id: int, sample_index: int = 0) -> list[Answer]:
    """One answer of each run to a problem."""
    ids = question_id, sample_index
    return [a for answers in runs.values() for a in answers if (a.question_id, a.sample_index) == ids]


def lengths(runs: dict[str, list[Answer]]) -> dict[str, list[int]]:
    """The length in tokens of each answer of each run, where the server told it."""
    return {run: [a.tokens for a in answers if a.tokens is not None] for run, answers in runs.items()}
