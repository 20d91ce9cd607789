"""Measures of runs, the answers that they compare, and intervals: values worked out by hand."""

import numpy as np
import pytest
from toy_answers import make_answer

from analysis.measures import diversity
from analysis.measures.embedding_diversity import pairwise_similarities
from hindsight.errors import UserError


def answer(question_id, sample_index, text="", code=None):
    return make_answer(question_id, sample_index, text=text, code=code)


def random_rows(count, size, seed):
    return np.random.default_rng(seed).normal(size=(count, size))


# Values by problem and their intervals

ONE = [answer(1, 0, "a b", "x = 1"), answer(1, 1, "a c", "y = 1"), answer(2, 0, "a", "x"), answer(3, 0, "a b")]
ONE.append(answer(3, 1, "c d"))  # problem 2 has one answer, problem 3 no program
VECTORS = {(1, 0): np.array([1.0, 0.0]), (1, 1): np.array([0.0, 1.0]), (3, 0): np.array([1.0, 0.0])}


def test_a_measure_has_a_value_for_each_problem_with_two_answers():
    measured = diversity.measure_runs({"one": ONE}, {"one": VECTORS})["one"].values
    assert measured["distinct-1"] == pytest.approx({1: 3 / 4, 3: 1})
    assert measured["distinct-2"] == pytest.approx({1: 2 / 4, 3: 2 / 4})
    assert measured["self-BLEU"].keys() == {1, 3} and measured["self-BLEU"][3] == 0
    assert (measured["distinct programs"], measured["effective programs"]) == ({1: 0.5}, {1: 1})
    assert (measured["similarity"], measured["Vendi score"]) == ({1: 0}, {1: pytest.approx(2)})
    assert set(measured) == set(diversity.MEASURES) - {diversity.OVER_ALL}
    assert {"similarity", "Vendi score"} == set(measured) - set(diversity.measure_runs({"one": ONE})["one"].values)


def test_a_difference_pairs_the_problems_that_both_runs_have():
    easy, hard = {1: 0.5, 2: 0.9, 3: 0.1, 4: 0.3}, {1: 0.4, 2: 0.8, 3: 0.0, 5: 0.7}
    assert str(diversity.difference(easy, hard)) == "0.100 [0.100, 0.100]"  # 0.1 for every problem
    assert diversity.difference(easy, hard).problems == 3
    measured = {
        name: diversity.RunDiversity({"distinct-1": values}, {}, {})
        for name, values in (("one", easy), ("other", hard))
    }
    assert diversity.difference_table(measured, [("one", "other")]) == [
        {"measure": "distinct-1", "one - other": "+0.100 [+0.100, +0.100]"}
    ]


def test_a_difference_over_all_uses_the_same_draws_for_both_runs():
    problems = {number: random_rows(4, 3, number) + np.array([2, 0, 0]) for number in range(12)}
    single = diversity.estimate_over_all(problems)
    assert single.low < single.mean < single.high
    assert single.mean == pytest.approx(pairwise_similarities(np.concatenate(list(problems.values()))).mean())
    none = diversity.estimate_over_all(problems, problems)
    assert (none.mean, none.low, none.high, none.problems) == (0, 0, 0, 12)
    nearly = {number: rows + np.array([0.01, 0, 0]) for number, rows in problems.items()}
    paired = diversity.estimate_over_all(nearly, problems)
    assert 0 < paired.low < paired.mean < paired.high
    assert paired.high - paired.low < 0.05 * (single.high - single.low)


# What is compared


def test_runs_are_matched_on_the_first_answers_to_common_problems():
    one = [answer(1, index, "a") for index in (2, 0, 1)] + [answer(2, 0), answer(2, 1), answer(4, 0), answer(4, 1)]
    other = [answer(1, 3), answer(1, 5), answer(2, 0), answer(3, 0), answer(3, 1), answer(4, 0), answer(4, 1)]
    chosen = diversity.match_answers({"one": one, "other": other})
    assert [(a.question_id, a.sample_index) for a in chosen["one"]] == [(1, 0), (1, 1), (4, 0), (4, 1)]
    assert [(a.question_id, a.sample_index) for a in chosen["other"]] == [(1, 3), (1, 5), (4, 0), (4, 1)]


def test_more_answers_of_the_same_kind_do_not_make_a_run_less_diverse():
    two = [answer(1, 0, "a b", "p"), answer(1, 1, "c d", "q")]
    four = [*two, answer(1, 2, "a b", "p"), answer(1, 3, "c d", "q")]
    measured = diversity.measure_runs({"two": two, "four": four})
    estimates = measured["two"].estimates()
    assert estimates == measured["four"].estimates()
    assert str(estimates["distinct-1"]) == "1.000 [1.000, 1.000]"
    assert str(estimates["effective programs"]) == "2.000 [2.000, 2.000]"


def test_programs_are_compared_on_equal_numbers_of_programs():
    four = [answer(1, index, "a", f"print({index % 2})") for index in range(4)]
    two = [answer(1, 0, "a"), answer(1, 1, "a", "print(0)"), answer(1, 2, "a", "print(1)"), answer(1, 3, "a")]
    measured = diversity.measure_runs({"four": four, "two": two})
    assert measured["four"].counts == measured["two"].counts == {"texts": 4, "programs": 2, "embeddings": 0}
    assert measured["four"].values["distinct programs"] == {1: 1}


def test_embeddings_are_measured_only_if_every_run_has_them():
    runs = {"one": ONE, "other": ONE}
    every = diversity.measure_runs(runs, {"one": VECTORS, "other": VECTORS})["one"].estimates()
    assert list(every) == list(diversity.MEASURES)
    assert str(every["similarity over all"]) == "0.000 [0.000, 0.000]"
    without = diversity.measure_runs(runs, {"one": VECTORS})["one"].estimates()
    assert set(diversity.MEASURES) - set(without) == {"similarity", "similarity over all", "Vendi score"}


def test_runs_without_a_common_problem_are_refused():
    with pytest.raises(UserError, match="no problem has two answers from every run"):
        diversity.measure_runs({"one": ONE, "other": [answer(9, 0), answer(9, 1)]})
