"""Summaries of entropies along answers: means over tokens, by problem and by position, worked out by hand."""

import math

import numpy as np
import pytest

from analysis.measures import entropy_summary
from analysis.measures.entropy_summary import by_problem, difference, mean_by_position, mean_of, summarise
from hindsight.errors import UserError


def test_the_mean_is_over_tokens_and_the_mean_of_answers_over_answers():
    answers = [{"question_id": question, "sample_index": 0} for question in (7, 7, 8, 9)]
    entropies = [np.array([1.0, 2.0]), np.array([6.0]), np.array([4.0, 4.0, 4.0]), np.array([])]
    found = summarise("x", answers, entropies, 2)
    assert found["mean"] == pytest.approx(21 / 6)
    assert found["mean_of_answers"]["mean"] == pytest.approx((1.5 + 6 + 4) / 3)
    assert (found["tokens"], found["answers"], found["problems"]) == (6, 3, 2)
    assert found["by_answer"] == [[7, 0, 2, 1.5], [7, 0, 1, 6.0], [8, 0, 3, 4.0]]
    assert found["low"] == pytest.approx(3)  # problem 7 drawn twice: 9 / 3
    assert found["high"] == pytest.approx(4)
    with pytest.raises(UserError, match="no answer has a token"):
        summarise("x", answers, [np.array([])] * 4, 2)
    with pytest.raises(UserError, match="logits of x are not finite"):
        summarise("x", answers[:1], [np.array([math.nan])], 2)


def test_means_by_position_end_when_too_few_problems_are_left(monkeypatch):
    entropies, problems = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0]), np.array([5.0])], ["p", "q", "p"]
    monkeypatch.setattr(entropy_summary, "FEWEST", 1)
    first, second = mean_by_position(entropies, problems, 2)
    assert (first["start"], first["mean"], first["answers"]) == (0, 11 / 4, 3)
    assert second == {"start": 2, "mean": 3.5, "low": 3.5, "high": 3.5, "answers": 1}
    monkeypatch.setattr(entropy_summary, "FEWEST", 5)  # of two problems, both must reach
    assert len(mean_by_position(entropies, problems, 2)) == 1


def test_a_difference_is_paired_by_tokens():
    one, other = (
        {"label": label, "by_answer": [[1, 0, 2, 3.0 + step], [2, 0, 4, 5.0 + step]]}
        for label, step in (("one", 0.25), ("other", 0.0))
    )
    found = difference(one, other)
    assert found == {"one": "one", "other": "other", "mean": 0.25, "low": 0.25, "high": 0.25}


def test_sums_are_by_problem_and_problems_without_tokens_do_not_count():
    assert by_problem(["b", "a", "b"], [1, 2, 3]).tolist() == [2, 4]
    found = mean_of(np.array([4.0, 0.0]), np.array([2.0, 0.0]))
    assert found == {"mean": 2, "low": 2, "high": 2}
