"""The embeddings that `analysis/embed.py` left in run folders, as arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from analysis.reading.answers import Answer
from hindsight.errors import BrokenFile, UserError
from hindsight.files import answer_files
from hindsight.files.embeddings import read_embedding

Vectors = Mapping[tuple[int, int], np.ndarray]  # [dimensions] by (question_id, sample_index)


def load_embeddings(folder: Path, kind: str = "converted") -> dict[tuple[int, int], np.ndarray]:
    """The embeddings of a run folder by (question_id, sample_index), each an array of [dimensions].

    `kind` is "generated", "converted" or "code"; answers without a program have no embedding of their code. Raises
    UserError when the run has no embeddings, some of its files lack this kind, or an answer's text has changed since.
    """
    files, broken = answer_files.list_files(folder, "embedded"), list[str]()
    command = f"`python analysis/embed.py --input_dirs {folder} --what {kind}`"
    if not files:
        raise UserError(f"{folder} has no embeddings; make them with {command}")
    vectors: dict[tuple[int, int], np.ndarray] = {}
    for key in files:
        try:
            if (vector := read_embedding(answer_files.converted_path(folder, *key), kind)) is not None:
                vectors[key] = vector
        except BrokenFile as error:
            broken.append(str(error))
    if len({len(vector) for vector in vectors.values()}) > 1:
        raise UserError(f"{folder} has embeddings of different lengths; delete them, and embed it again")
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
