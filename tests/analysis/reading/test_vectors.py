"""Embeddings of run folders as arrays."""

import pytest
from scripts import write_converted
from toy_answers import PROBLEM, make_answer

from analysis.reading import vectors
from hindsight.errors import UserError
from hindsight.files.records import write_json


def test_embeddings_stay_with_their_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    for question, index, value in ((1, 0, 5.0), (1, 2, 6.0), (2, 0, 7.0)):
        path = tmp_path / "r" / f"converted_question_{question}_sample_{index}_with_embeddings.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"converted_embedding": [value, 1.0]})
    found = vectors.load_embeddings(tmp_path / "r")
    assert vectors.stack_by_problem(found)[1].tolist() == [[5, 1], [6, 1]]
    chosen, rows = vectors.embedded_answers([make_answer(1, index) for index in range(3)], found, 1)
    assert ([a.sample_index for a in chosen], rows.tolist()) == ([0, 2], [[5, 1], [6, 1]])


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        *(({"converted_embedding": value}, "is not a list") for value in (5, [], ["a"], [[1], [2]], [0, 0], [1e999])),
        ({"converted_embedding": [1, 2], "converted_text": "old"}, "is of an earlier converted_text of the answer"),
        ({"converted_embedding": [1, 2, 3]}, "has embeddings of different lengths"),
    ],
)
def test_an_embedding_that_is_not_valid_ends_in_one_sentence(tmp_path, record, sentence):
    for number, content in enumerate(({"converted_embedding": [1, 2]}, record)):
        path = write_converted(tmp_path, 1, number, "print(1)", PROBLEM)
        write_json(path.with_name(f"{path.stem}_with_embeddings.json"), content)
    with pytest.raises(UserError, match=sentence):
        vectors.load_embeddings(tmp_path)
