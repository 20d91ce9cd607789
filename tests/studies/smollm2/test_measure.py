"""The counts of a checked run: hand-made answers to two problems."""

import json

import pytest

from hindsight.errors import UserError
from hindsight.files.answer_files import sample_path
from hindsight.text.uniform_format import render
from studies.smollm2.measure import measure_run

DOUBLE, RENAMED, WRONG = ("def f(x):\n    return 2 * x", "def f(y):\n    return 2 * y", "def f(x):\n    return 3")


def write(folder, question, sample, program=None, reason="length", **verdict):
    """An answer as steps 1 to 3 leave it; without a program it was not converted."""
    record = {"question_id": question, "sample_index": sample, "generated_text": "...", "finish_reason": reason}
    record |= {"metadata": {"fn_name": "f"}, "usage": {"completion_tokens": 10 + sample}}
    sample_path(folder, question, sample).write_text(json.dumps(record))
    if program:
        record |= {"converted_text": render("", f"```python\n{program}\n```"), **verdict}
        (folder / f"converted_question_{question}_sample_{sample}.json").write_text(json.dumps(record))


def test_counts_are_by_problem_in_the_order_that_is_asked_for(tmp_path):
    both = {"correctness": True, "base_status": "pass", "plus_status": "pass"}
    base_only = {
        "correctness": False,
        "correctness_reason": "wrong answer",
        "base_status": "pass",
        "plus_status": "fail",
    }
    write(tmp_path, 11, 0, DOUBLE, "stop", **both)
    write(tmp_path, 11, 1, RENAMED, "stop", **both)
    write(tmp_path, 11, 2, WRONG, "stop", **base_only)
    write(tmp_path, 12, 0)
    write(tmp_path, 12, 1, DOUBLE, correctness=True)  # its tests are of one kind
    counts = measure_run(tmp_path, [12, 11], None, 1)
    assert {key: counts[key] for key in ("samples", "correct", "base_correct", "programs", "distinct", "ended")} == {
        "samples": [2, 3], "correct": [1, 2], "base_correct": [1, 3], "programs": [1, 3], "distinct": [1, 2],
        "ended": [0, 3],
    }  # fmt: skip
    assert counts["vendi"] == [1.0, pytest.approx(3 / 4 ** (1 / 3), abs=1e-4)]  # shares 2/3 and 1/3
    assert counts["tokens"] == [21, 33] and counts["nats"] == [None, None]


def test_an_answer_without_a_verdict_and_a_problem_without_answers_are_refused(tmp_path):
    write(tmp_path, 11, 0, DOUBLE)
    with pytest.raises(UserError, match="no verdict"):
        measure_run(tmp_path, [11], None, 0)
    with pytest.raises(UserError, match="no answer to 1 of its problems, the first: 12"):
        measure_run(tmp_path, [11, 12], None, 0)
