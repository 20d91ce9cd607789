"""pass@k, its differences, and merged models against their parents: values worked out by hand."""

import random

import pytest
from toy_answers import make_answer, make_answers

from analysis.measures import correctness
from hindsight.errors import UserError
from hindsight.pass_at_k.estimators import Estimate


def test_differences_are_paired_and_inside_their_interval():
    one, other = make_answers(10, 0, 5, 8), make_answers(0, 0, 5, 6)
    found = correctness.pass_at_k_difference(one, other, 1)
    assert found.mean == pytest.approx((1.0 + 0 + 0 + 0.2) / 4)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert correctness.pass_at_k_difference(one, one, 5) == Estimate(0, 0, 0, 4)
    assert correctness.pass_at_k_difference(one, make_answers(0), 1).problems == 1
    runs = {"a": one, "b": other}
    assert correctness.differences(runs, [("a", "b")], [1]) == {"a - b": found}
    assert list(correctness.differences(runs, [("a", "b")], (1, 5))) == ["a - b, pass@1", "a - b, pass@5"]


def test_shuffled_answers_give_the_same_digits():
    one, other = make_answers(*range(10), 3, 7), make_answers(*range(9, -1, -1), 1, 1)
    means, differences = set(), set()
    for seed in range(10):
        ours, theirs = (random.Random(seed).sample(answers, len(answers)) for answers in (one, other))
        means.add(correctness.pass_at_k(ours, [5])[5])
        differences.add(correctness.pass_at_k_difference(ours, theirs, 5))
    assert (len(means), len(differences)) == (1, 1)


def test_the_merged_model_is_above_both_parents_below_both_or_neither():
    rows = correctness.compare_with_parents(
        make_answers(5, 1, 3, 2), make_answers(2, 3, 3, 4), make_answers(1, 2, 5, 2)
    )
    assert [(row["question_id"], row["rank"]) for row in rows] == [(0, 1), (2, 0), (3, 0), (1, -1)]
    assert rows[0]["margin"] == pytest.approx(0.3)
    assert rows[-1]["margin"] == pytest.approx(-0.1)
    assert correctness.wins_and_losses(rows, ("alpha", "base", "instruct"))[1] == {
        "question": 1,
        "difficulty": "",
        "alpha": 0.1,
        "base": 0.3,
        "instruct": 0.2,
    }
    rows[0]["difficulty"], rows[1]["difficulty"] = "HARD", "EASY"
    assert [tuple(row.values()) for row in correctness.wins_by_difficulty(rows)] == [
        ("EASY", 1, 0, 0), ("HARD", 1, 1, 0), ("not known", 2, 0, 1)
    ]  # fmt: skip


def test_the_most_mixed_problem_is_mixed_within_runs_not_between_them():
    runs = {
        "a": make_answers(0, 10, 4, 5),
        "b": make_answers(10, 0, 5, 5),
    }  # half of the answers to 0, 1 and 3 are correct
    assert correctness.most_mixed_problem(runs) == 3


def test_answers_that_could_not_be_judged_are_not_samples():
    answers = [*make_answers(1, 0, of=2), make_answer(0, 2, "not judged"), make_answer(2, 0, "not judged")]
    assert correctness.count_correct(answers) == {0: (2, 1), 1: (2, 0)}
    with pytest.raises(UserError, match="1 answers of r have no verdict"):
        correctness.count_correct([*answers, make_answer(1, 2, "not checked")])
