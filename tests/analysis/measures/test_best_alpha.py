"""The search for the best alpha: what it believes, against closed forms, and what it asks for next."""

import numpy as np
import pytest

from analysis.measures.best_alpha import JITTER, Beliefs, Search, _condition, believe
from benchmarks.choosing import ALPHAS, SETTINGS, replay_seed

SEARCH = Search(first=2, batch=2, most=10, tolerance=0.02, confidence=0.95)


def beliefs(mean, error, problems=1000):
    """Of independent errors."""
    return Beliefs(np.linspace(0, 1, len(mean)), np.array(mean), np.diag(np.square(error)), problems)


def test_one_alpha_is_believed_as_it_was_measured():
    values = np.array([[0.0, 1.0, 1.0, 0.0]])
    found = believe([0.5], values)
    assert found.mean == pytest.approx([0.5])
    assert 0 <= found.covariance[0, 0] <= 1 / 3 / 4 + JITTER  # at most the variance of a mean of 4


def test_differences_that_all_problems_share_are_believed_without_doubt():
    """What is the same at all alphas cancels out: the errors of differences are small beside those of the means."""
    hard = np.random.default_rng(0).random(50)
    found = believe([0, 0.5, 1], np.stack([hard, hard + 0.1, hard + 0.05]))
    assert found.mean - found.mean[0] == pytest.approx([0, 0.1, 0.05], abs=2e-3)
    assert found.errors_against(1).max() < 2e-3


def test_few_problems_do_not_make_all_alphas_alike():
    """Ten problems, no difference in sight: the difference of two distant alphas is still not known to within .02."""
    values = np.random.default_rng(2).choice([0.0, 1.0], (3, 10))
    assert believe([0, 0.5, 1], values).errors_against(0)[2] > 0.02


def test_a_belief_is_the_posterior_of_a_process():
    """One prior: with the covariances of two alphas and noise of 1 each, worked out by the formula of conditioning."""
    prior = np.array([[4.0, 2.0], [2.0, 4.0]])
    mean, covariance = _condition(prior[None], np.eye(2), np.array([1.0, 3.0]))
    inverse = np.linalg.inv(prior + np.eye(2))
    middle = 2.0  # by symmetry
    assert mean == pytest.approx(middle + prior @ inverse @ np.array([-1.0, 1.0]))
    assert covariance == pytest.approx(prior - prior @ inverse @ prior)


def test_neighbours_inform_each_other():
    """A parabola with noise: what is believed is nearer to it than what was measured, at most places."""
    chance, alphas = np.random.default_rng(1), np.linspace(0, 1, 11)
    truth = 0.6 - (alphas - 0.4) ** 2
    nearer = []
    for _ in range(20):
        values = truth[:, None] + chance.normal(0, 0.5, (11, 100))
        found = believe(alphas, values)
        nearer.append(np.abs(found.mean - truth).mean() < np.abs(values.mean(axis=1) - truth).mean())
    assert np.mean(nearer) >= 0.9


def test_exact_measurements_are_believed():
    """Alphas far apart that share most of their problems' spread are believed nearly as they were measured."""
    values = np.stack([np.tile([0.0, 0.2], 50), np.tile([0.9, 1.1], 50)])
    found = believe([0, 1], values)
    assert found.mean == pytest.approx([0.1, 1.0], abs=0.02)


def test_the_lead_and_its_strongest_rival_are_asked_next():
    """Errors of .02 and .1: of two alphas with equal means the less known one is likelier to exceed the lead."""
    found = SEARCH.decide(beliefs([0.5, 0.45, 0.45, 0.1], [0.01, 0.02, 0.1, 0.02]))
    assert (found.lead, found.rivals, found.worse) == (0, (2,), (1, 3))
    width = 2.13  # the quantile .983 of Student's t, for three comparisons
    assert found.gap == pytest.approx(-0.05 + width * (0.01**2 + 0.1**2) ** 0.5, abs=2e-3)
    assert SEARCH.next_round(found, [4, 2, 2, 2]) == {0: 6, 2: 4}
    assert SEARCH.next_round(found, [10, 2, 9, 2]) == {2: 10}
    assert SEARCH.next_round(found, [10, 2, 10, 2]) == {}


def test_the_strongest_rival_is_the_likeliest_to_exceed_the_lead_by_the_tolerance():
    """(.02 + .03) / .02 = 2.5 errors are fewer than (.02 + .2) / .08 = 2.75, though these may exceed it by more."""
    found = SEARCH.decide(beliefs([0.5, 0.3, 0.47], [1e-6, 0.08, 0.02]))
    assert found.rivals == () and found.gap < 0.02
    assert Search(2, 2, 10, 0.02, 0.995).decide(beliefs([0.5, 0.3, 0.47], [1e-6, 0.08, 0.02])).rivals == (2, 1)


def test_it_ends_when_none_exceeds_the_best_by_more_than_the_tolerance():
    found = SEARCH.decide(beliefs([0.5, 0.499, 0.3], [0.004, 0.004, 0.01]))
    assert (found.rivals, found.worse) == ((), (2,)) and 0 < found.gap < 0.02
    assert SEARCH.next_round(found, [2, 2, 2]) == {}
    assert SEARCH.decide(beliefs([0.5], [0.1])).rivals == ()


def test_the_best_is_sought_among_those_that_may_reach_the_level():
    """pass@1 rises with alpha; pass@10 of the last is surely below the level, of the third perhaps."""
    ones, tens = beliefs([0.1, 0.2, 0.3, 0.4], [0.001] * 4), beliefs([0.7, 0.65, 0.59, 0.4], [0.01, 0.01, 0.02, 0.01])
    found = SEARCH.decide(ones, tens, level=0.6)
    assert (found.lead, found.rivals, found.worse, found.short) == (1, (2,), (3, 0), 0.0)
    assert SEARCH.next_round(found, [2] * 4) == {1: 4, 2: 4}
    none = SEARCH.decide(ones, tens, level=0.9)
    assert none.lead == 0 and none.short > 0.2 and none.rivals == ()


def test_few_problems_have_no_spread():
    with pytest.raises(ValueError, match="two of them"):
        believe([0, 1], np.zeros((2, 1)))


@pytest.mark.slow
def test_a_replay_asks_for_at_most_a_quarter_and_misses_the_best_by_little():
    """Of a world plain enough for few replays; `benchmarks/choosing.py` has the lab's."""
    chance = np.random.default_rng(0)
    ease = chance.beta(0.5, 1, 120)
    run = [
        {"samples": [20] * 120, "correct": chance.binomial(20, ease * (1 - 0.9 * abs(alpha - 0.4))).tolist()}
        for alpha in ALPHAS
    ]
    assert len(run) == len(SETTINGS)
    found = replay_seed(run, replays=2, seed=0)
    assert (found["share"] <= 0.25).all() and (found["share"] > 0.2).all()
    assert found["search"].mean() < 0.05
