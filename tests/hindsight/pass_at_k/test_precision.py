"""How exact pass@k is, against closed forms and simulation."""

import numpy as np
import pytest

from hindsight.pass_at_k.estimators import pass_at_ks
from hindsight.pass_at_k.extrapolation import FittedDistribution, fit_distribution
from hindsight.pass_at_k.mixing_distributions import AnswerCounts
from hindsight.pass_at_k.precision import Precision


def two_kinds(k):
    """Half of the problems have chance 0, half the grid's chance nearest to .5, which is p."""
    counts = AnswerCounts.of([10], [5])
    weights = np.zeros(len(counts.grid))
    nearest = int(np.abs(counts.grid - 0.5).argmin())
    weights[[0, nearest]] = 0.5
    return Precision(FittedDistribution(counts, weights, weights, 0.0, 1.0), k), float(counts.grid[nearest])


def test_pass_at_1_has_the_variances_of_shares():
    """p (1 - p) / n by the answers on half of the problems; by the problems p^2 / 4."""
    precision, p = two_kinds(k=1)
    assert precision.variance_of_answers(7) == pytest.approx(p * (1 - p) / 7 / 2)
    assert precision.variance_of_problems == pytest.approx(p**2 / 4)
    assert precision.half_width(50, 7, same_problems=True) == pytest.approx(1.96 * (p * (1 - p) / 14 / 50) ** 0.5)


def test_intervals_of_larger_k_are_as_wide_as_simulated_ones():
    precision, p = two_kinds(k=3)
    chance = np.random.default_rng(0)
    correct = chance.binomial(6, np.array([0, p])[chance.integers(0, 2, (3000, 40))])
    table = pass_at_ks(np.full(7, 6), np.arange(7), [3])[:, 0]
    assert 1.96 * table[correct].mean(axis=1).std() == pytest.approx(precision.half_width(40, 6, False), rel=0.05)


def test_what_an_interval_needs_is_the_least_that_suffices():
    precision, _ = two_kinds(k=2)
    answers = precision.answers_needed(100, 0.02, same_problems=True)
    assert answers and precision.half_width(100, answers, True) <= 0.02 < precision.half_width(100, answers - 1, True)
    assert precision.answers_needed(100, 0.02, same_problems=False) is None
    problems = precision.problems_needed(10, 0.02)
    assert precision.half_width(problems, 10, False) <= 0.02 < precision.half_width(problems - 1, 10, False)
    assert precision.answers_needed(100_000, 0.5, same_problems=True) == 2  # k: fewer give no unbiased estimate


@pytest.mark.parametrize("problems", [1, 4])
def test_problems_that_are_always_solved_have_no_width(problems):
    precision = Precision(fit_distribution(AnswerCounts.of([2] * problems, [2] * problems)), 10)
    for same in (True, False):
        assert 0 <= precision.half_width(problems, 2000, same) < 0.1
        precision.answers_needed(problems, 0.02, same)
