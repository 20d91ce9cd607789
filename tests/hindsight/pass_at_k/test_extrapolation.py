"""pass@k beyond the number of answers, against closed forms, another solver and known worlds."""

from math import comb

import numpy as np
import pytest
from scipy.optimize import linprog

from benchmarks.extrapolating import all_worlds, measure
from hindsight.pass_at_k.beta_binomial import BetaMixture, fit_beta_binomial
from hindsight.pass_at_k.estimators import pass_at_ks
from hindsight.pass_at_k.extrapolation import extrapolate, fit_distribution
from hindsight.pass_at_k.mixing_distributions import (
    AnswerCounts,
    chances_of_success,
    likeliest_distribution,
    pass_at_k_range,
    tolerated_loss,
)


def draw(chances, answers, seed=0):
    return AnswerCounts.of([answers] * len(chances), np.random.default_rng(seed).binomial(answers, chances))


def test_problems_with_equal_numbers_are_one_cell():
    counts = AnswerCounts.of([2, 3, 2, 2], [1, 0, 1, 2])
    assert list(zip(counts.samples, counts.correct, counts.problems, strict=True)) == [(2, 1, 2), (2, 2, 1), (3, 0, 1)]
    assert counts.cell.tolist() == [0, 2, 0, 1]
    expected = [2 * p * (1 - p) for p in counts.grid]
    assert counts.chances[0] == pytest.approx(expected)


def test_with_one_answer_the_interval_of_pass_at_1_is_that_of_a_share():
    """30 of 100 right: the ends are the q whose binomial log likelihood is lower by the tolerated loss."""
    counts = AnswerCounts.of([1] * 100, [1] * 30 + [0] * 70)
    likeliest = likeliest_distribution(counts)
    most = 30 * np.log(0.3) + 70 * np.log(0.7)
    assert counts.log_likelihood(likeliest) == pytest.approx(most, abs=1e-3)
    low, high = pass_at_k_range(counts, likeliest, most - tolerated_loss(100), k=1)
    q = np.linspace(0.01, 0.99, 98_001)
    inside = q[30 * np.log(q) + 70 * np.log(1 - q) >= most - tolerated_loss(100)]
    assert (low, high) == (pytest.approx(inside[0], abs=5e-4), pytest.approx(inside[-1], abs=5e-4))


def test_no_distribution_is_likelier_than_the_likeliest():
    """At the maximum each chance's gradient is at most the number of problems (Lindsay 1983), equal under weight."""
    counts = draw(np.random.default_rng(1).beta(0.5, 1, 80), answers=6)
    weights = likeliest_distribution(counts)
    gradient = (counts.problems / (counts.chances @ weights)) @ counts.chances
    assert weights.sum() == pytest.approx(1)
    assert gradient.max() <= 80 + 0.01 and gradient @ weights == pytest.approx(80)


@pytest.mark.parametrize("k", [3, 6, 30])
def test_the_ends_of_the_range_are_those_of_a_linear_program(k):
    """The log likelihood is concave: cutting planes (Kelley 1960) give the same ends from outside."""
    counts = draw(np.random.default_rng(2).beta(0.5, 1, 60), answers=6)
    likeliest = likeliest_distribution(counts)
    least = counts.log_likelihood(likeliest) - tolerated_loss(60)
    target, ends = chances_of_success(counts.grid, k), []
    for sign in (1, -1):
        planes, levels = [], []
        point = likeliest
        for _ in range(60):
            slope = (counts.problems / (counts.chances @ point)) @ counts.chances
            planes.append(-slope)
            levels.append(counts.log_likelihood(point) - least - slope @ point)
            found = linprog(sign * target, planes, levels, np.ones((1, len(target))), [1])
            if counts.log_likelihood(found.x) >= least - 1e-4:
                break
            inside, outside = 0.0, 1.0  # the next plane touches where the way to the point leaves the region
            for _ in range(30):
                middle = (inside + outside) / 2
                if counts.log_likelihood(likeliest + middle * (found.x - likeliest)) >= least:
                    inside = middle
                else:
                    outside = middle
            point = likeliest + outside * (found.x - likeliest)
        ends.append(target @ found.x)
    assert pass_at_k_range(counts, likeliest, least, k) == pytest.approx(ends, abs=1e-3)


def test_a_beta_mixture_s_pass_at_k_is_its_integral():
    mixture = BetaMixture(a=2, b=1, never=0.3, always=0.1)  # density 2p: E[(1 - p)^3] = 2 * B(2, 4) = 0.1
    assert mixture.pass_at_k(3) == pytest.approx(0.1 + 0.6 * (1 - 0.1))
    counts = AnswerCounts.of([2, 2, 2], [0, 1, 2])
    chances = [0.3 + 0.6 / 6, 0.6 * 2 / 6, 0.1 + 0.6 * 3 / 6]  # of 0, 1 and 2 of 2: B(2, 1) gives 1/6, 1/3, 1/2
    assert np.exp(mixture.log_chances(counts)[0]) == pytest.approx(chances)
    assert chances_of_success(counts.grid, 3) @ mixture.weights(counts.grid) == pytest.approx(
        mixture.pass_at_k(3), abs=1e-3
    )


def test_the_slopes_of_a_mixture_s_chances_are_its_differences():
    """By the logarithms of a = 2, b = 1 and of the odds .5 and 1/6 of the shares .3 and .1."""
    counts, nudge = AnswerCounts.of([2, 3, 2], [0, 1, 2]), 1e-6

    def log_chances(*logarithms):
        a, b, never, always = np.exp(logarithms)
        return BetaMixture(a, b, never / (1 + never + always), always / (1 + never + always)).log_chances(counts)

    at = np.log([2, 1, 0.5, 1 / 6])
    differences = [
        (log_chances(*(at + step))[0] - log_chances(*(at - step))[0]) / (2 * nudge) for step in nudge * np.eye(4)
    ]
    assert log_chances(*at)[1] == pytest.approx(np.array(differences), abs=1e-6)


def test_the_fit_finds_a_beta_and_asks_for_shares_only_where_the_counts_do():
    chance = np.random.default_rng(3)
    chances = chance.beta(2, 3, 4000)
    plain = fit_beta_binomial(draw(chances, 10)).mixture
    assert (plain.never, plain.always) == (0, 0)
    assert (plain.a, plain.b) == (pytest.approx(2, rel=0.1), pytest.approx(3, rel=0.1))
    inflated = fit_beta_binomial(draw(np.where(chance.random(4000) < 0.3, 0, chances), 10)).mixture
    assert inflated.never == pytest.approx(0.3, abs=0.03) and inflated.always == 0


@pytest.mark.slow
def test_the_values_of_problems_have_the_models_mean_and_the_spread_of_its_error():
    """The standard error from one set of counts against the spread of estimates over 60 others."""
    chance, estimates = np.random.default_rng(4), []
    for _ in range(60):
        fit = fit_beta_binomial(draw(chance.beta(0.6, 1.2, 100), 3, seed=int(chance.integers(1 << 30))))
        estimates.append(fit.mixture.pass_at_k(10))
        if len(estimates) == 1:
            values = fit.values(10)
            assert values.shape == (100,) and values.mean() == pytest.approx(fit.mixture.pass_at_k(10), abs=1e-4)
    assert values.std() / 10 == pytest.approx(np.std(estimates), rel=0.35)


def test_up_to_the_number_of_answers_the_estimate_is_near_the_unbiased_one():
    """Also where the beta-binomial model is wrong: of two kinds of problems."""
    chances = np.random.default_rng(5).choice([0.05, 0.6], 300)
    counts = draw(chances, 10)
    correct = counts.correct[counts.cell]
    found = extrapolate([10] * 300, correct, ks=(1, 5, 10))
    assert found.beta_share < 1 and found.open_from is None
    unbiased = pass_at_ks(np.full(300, 10), correct, (1, 5, 10)).mean(axis=0)
    assert found.mean == pytest.approx(unbiased, abs=0.015)
    assert ((found.low < unbiased) & (unbiased < found.high)).all()


def test_the_estimate_lies_in_its_interval_and_both_rise_with_k():
    for seed, (a, b) in enumerate([(0.3, 1), (2, 2), (0.1, 0.1)]):
        counts = draw(np.random.default_rng(seed).beta(a, b, 60), 4, seed)
        found = extrapolate([4] * 60, counts.correct[counts.cell], ks=(1, 4, 8, 40))
        assert ((found.low <= found.mean) & (found.mean <= found.high)).all()
        assert all((np.diff(each) > -1e-3).all() for each in (found.low, found.mean, found.high))


def test_it_says_from_where_the_counts_leave_pass_at_k_open():
    """Of 4 answers to 60 problems, 24 problems without a right one may be out of reach or not."""
    counts = draw(np.random.default_rng(6).beta(0.4, 0.8, 60), 4)
    found = extrapolate([4] * 60, counts.correct[counts.cell], ks=(4, 8, 20, 40))
    assert found.open_from in (8, 20)
    many = extrapolate([4] * 60, [4] * 60, ks=(4, 8, 20, 40))
    assert many.open_from is None and many.low[-1] > 0.9


def test_no_right_answer_leaves_everything_above_zero_open():
    found = extrapolate([5] * 10, [0] * 10, ks=(5, 50))
    assert (found.low == 0).all() and found.mean == pytest.approx([0, 0], abs=1e-3)
    assert found.high[0] < 0.35 and found.high[1] > 0.9 and found.open_from == 50
    assert extrapolate([5], [2], ks=(5,)).low == 0 and extrapolate([5], [2], ks=(5,)).high == 1


def test_unequal_numbers_of_answers_are_used_whole():
    """Answers that are added at random change nothing but the error."""
    chances = np.random.default_rng(7).beta(1, 1, 400)
    samples = np.random.default_rng(8).integers(4, 12, 400)
    correct = np.random.default_rng(9).binomial(samples, chances)
    found = extrapolate(samples, correct, ks=(1, 4, 12))
    assert found.answers == 4
    truth = [k / (k + 1) for k in found.ks]  # of the uniform distribution
    assert ((found.low <= truth) & (truth <= found.high)).all()


@pytest.mark.parametrize(
    ("samples", "correct", "ks"), [([4], [5], [1]), ([0], [0], [1]), ([4], [1], [41]), ([4], [1], []), ([4], [1], [0])]
)
def test_what_cannot_be_extrapolated_is_refused(samples, correct, ks):
    with pytest.raises(ValueError, match="answer"):
        extrapolate(samples, correct, ks)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta 0.4, 0.8", "0.05 or 0.6", "lab, alpha 0.4"])
def test_intervals_cover_the_truth_as_often_as_they_say(name):
    """10 tries with one seed; `benchmarks/extrapolating.py` has the figures of many."""
    covered, _, errors = measure(all_worlds()[name], answers=5, problems=80, tries=10)
    assert (covered.mean(axis=0) >= 0.8).all()
    assert abs(errors[:, :2].mean(axis=0)).max() < 0.04


def test_chances_of_success_are_those_of_the_unbiased_estimator():
    """E[1 - C(n - c, k) / C(n, k)] over binomial c is 1 - (1 - p)^k."""
    p, n, k = 0.3, 6, 4
    mean = sum(
        comb(n, c) * p**c * (1 - p) ** (n - c) * pass_at_ks(np.array([n]), np.array([c]), [k])[0, 0]
        for c in range(n + 1)
    )
    assert chances_of_success(np.array([p, 0, 1]), k) == pytest.approx([mean, 0, 1])
    assert fit_distribution(AnswerCounts.of([n], [2])).interval(k) == (0, 1)
