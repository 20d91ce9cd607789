"""The embeddings that `analysis/embed.py` left in run folders, as arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from analysis.reading.answers import Answer
from hindsight.errors import UserError
from hindsight.files import answer_files, records

Vectors = Mapping[tuple[int, int], np.ndarray]  # [dimensions] by (question_id, sample_index)


def load_embeddings(folder: Path, kind: str = "converted") -> dict[tuple[int, int], np.ndarray]:
    """The embeddings of a run folder by (question_id, sample_index), each an array of [dimensions].

    `kind` is "generated", "converted" or "code"; answers without a program have no embedding of their code. Raises
    UserError when the run has no embeddings or some of its files lack this kind.
    """
    key = f"{kind}_embedding"
    files, broken = answer_files.list_files(folder, "embedded"), []
    command = f"`python analysis/embed.py --input_dir {folder} --what {kind}`"
    if not files:
        raise UserError(f"{folder} has no embeddings; make them with {command}")
    vectors = {
        (record["question_id"], record["sample_index"]): np.array(record[key])
        for _, record in records.read_records(files, (key,), broken)
        if record[key] is not None
    }
    if broken:
        raise UserError(f"{len(broken)} files are broken, the first: {broken[0]}; complete them with {command}")
    return vectors


def stack_by_problem(vectors: Vectors) -> dict[int, np.ndarray]:
    """Each problem's embeddings as one array of [answers, dimensions]."""
    problems: dict[int, list[np.ndarray]] = {}
    for (question_id, _), vector in vectors.items():
        problems.setdefault(question_id, []).append(vector)
    return {question_id: np.stack(rows) for question_id, rows in problems.items()}


def embedded_answers(answers: list[Answer], vectors: Vectors, question_id: int) -> tuple[list[Answer], np.ndarray]:
    """The answers to one problem that have embeddings, and these embeddings as [answers, dimensions]."""
    chosen = [answer for answer in answers if answer.question_id == question_id and answer.key in vectors]
    return chosen, np.stack([vectors[answer.key] for answer in chosen])
