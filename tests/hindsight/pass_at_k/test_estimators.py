"""pass@k against values worked out by hand, brute force and evalplus; intervals against known truths."""

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from evalplus.eval import estimate_pass_at_k
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hindsight.pass_at_k.estimators import (
    bootstrap_interval,
    bootstrap_ratio_interval,
    draws,
    estimate_difference,
    estimate_mean,
    in_order,
    pass_at_k,
    pass_at_ks,
    percentile_interval,
)


def test_values_worked_out_by_hand():
    assert pass_at_k(n=10, c=3, k=1) == pytest.approx(0.3)
    assert pass_at_k(n=5, c=2, k=2) == pytest.approx(1 - 3 / 10)  # 3 of 10 pairs hold no correct sample
    assert pass_at_k(n=4, c=0, k=4) == 0.0
    assert pass_at_k(n=4, c=1, k=4) == 1.0
    assert pass_at_k(n=3, c=2, k=2) == 1.0


@settings(deadline=None)
@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_share_of_subsets_that_hold_a_correct_sample(counts):
    n, c, k = counts
    subsets = list(combinations(range(n), k))
    share = sum(any(sample < c for sample in subset) for subset in subsets) / len(subsets)
    assert pass_at_k(n, c, k) == pytest.approx(share)


@pytest.mark.parametrize(("n", "c", "k"), [(10_000, 1, 5_000), (10_000, 37, 100), (10_000, 9_000, 10)])
def test_it_is_exact_at_ten_thousand_samples(n, c, k):
    assert pass_at_k(n, c, k) == pytest.approx(float(1 - Fraction(comb(n - c, k), comb(n, k))), rel=1e-9)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 4, 1), (3, -1, 1), (3, 1, 0), (0, 0, 1)])
def test_counts_without_an_unbiased_estimate_are_refused(n, c, k):
    with pytest.raises(ValueError, match="sampl"):
        pass_at_k(n, c, k)


def test_the_mean_takes_each_problem_with_its_own_number_of_samples():
    values = pass_at_ks(np.array([10, 2, 4]), np.array([5, 2, 0]), [1])
    assert values.mean() == pytest.approx((0.5 + 1 + 0) / 3)


def test_intervals_of_differences_cover_the_truth_95_percent_of_the_time():
    """Problems of two runs with known chances; 95 % intervals of the paired difference at k = 1 and k = 5.

    1,000 worlds of 100 problems: the share of intervals that cover it has a standard error of 0.7 %.
    """
    chance = np.random.default_rng(0)
    covered, worlds = np.zeros(2), 1000
    tables = np.array([[pass_at_k(10, c, k) for k in (1, 5)] for c in range(11)])
    ease = chance.beta(0.6, 1.4, size=1_000_000)
    truth = [np.mean(1 - (1 - np.minimum(ease * 1.3, 1)) ** k) - np.mean(1 - (1 - ease) ** k) for k in (1, 5)]
    for _ in range(worlds):
        ease = chance.beta(0.6, 1.4, size=100)
        correct = [chance.binomial(10, each) for each in (np.minimum(ease * 1.3, 1), ease)]
        low, high = bootstrap_interval(tables[correct[0]] - tables[correct[1]], resamples=1000)
        covered += (low <= truth) & (truth <= high)
    assert (abs(covered / worlds - 0.95) <= 0.02).all(), covered / worlds


def test_the_interval_of_equal_values_has_no_width():
    low, high = bootstrap_interval(np.array([[0.25, 1.0]] * 7))
    assert low == pytest.approx([0.25, 1.0]) and high == pytest.approx([0.25, 1.0])


def test_it_is_evalplus_s_on_random_counts():
    chance = np.random.default_rng(0)
    samples = chance.integers(100, 1000, size=2000)
    correct = chance.integers(0, samples + 1)
    ks = [1, 2, 10, 57, 100]
    theirs = np.stack([estimate_pass_at_k(samples, correct, k) for k in ks], axis=1)
    assert pass_at_ks(samples, correct, ks) == pytest.approx(theirs, rel=1e-12, abs=1e-12)


def test_an_estimate_is_the_mean_with_its_interval():
    estimate = estimate_mean({0: 0.0, 1: 1.0, 2: 0.5})
    assert (estimate.mean, estimate.problems) == (0.5, 3)
    assert 0 <= estimate.low < 0.5 < estimate.high <= 1
    assert str(estimate_mean({0: 0.25})) == "0.250 [0.250, 0.250]"
    assert estimate_mean({0: 0.25}).text("+") == "+0.250 [+0.250, +0.250]"
    with pytest.raises(ValueError, match="no value"):
        estimate_mean({})


def test_the_order_in_which_problems_are_read_changes_no_digit():
    chance = np.random.default_rng(1)
    one, other = ({question: chance.random() ** 3 for question in range(12)} for _ in range(2))
    means, differences = set(), set()
    for _ in range(20):
        ours, theirs = ({q: values[q] for q in chance.permutation(12).tolist()} for values in (one, other))
        means.add(estimate_mean(ours))
        differences.add(estimate_difference(ours, theirs))
    assert (len(means), len(differences)) == (1, 1)
    assert len({estimate_mean(dict(enumerate(chance.permutation(list(one.values()))))).low for _ in range(20)}) > 1


def test_ids_that_are_numbers_have_one_order_as_numbers_and_as_text():
    assert in_order(["Mbpp/3", "10", "9", "Mbpp/20"]) == ["9", "10", "Mbpp/20", "Mbpp/3"]
    values = {question: float(question**2) for question in range(12)}
    as_text = {str(question): value for question, value in values.items()}
    assert estimate_mean(values) == estimate_mean(as_text)
    zeros = dict.fromkeys(values, 0.0), dict.fromkeys(as_text, 0.0)
    found = [estimate_difference(values, zeros[0]), estimate_difference(as_text, zeros[1]), estimate_mean(values)]
    assert found[0] == found[1] == found[2]


@given(st.lists(st.one_of(st.integers(0, 99).map(str), st.sampled_from(["01", "001", "x/1", "x/01"])), unique=True))
def test_ids_have_one_order_whatever_the_order_in_which_they_come(ids):
    assert in_order(ids) == in_order(ids[::-1])
    numbers = [int(each) for each in in_order(ids) if each.isdecimal()]
    assert numbers == sorted(numbers)


def test_all_problems_at_all_ks():
    values = pass_at_ks(np.array([10, 5]), np.array([3, 2]), [1, 2])
    assert values == pytest.approx(np.array([[0.3, 1 - 21 / 45], [0.4, 1 - 3 / 10]]))


def test_the_interval_of_a_mean_comes_from_its_resampled_means():
    values = np.arange(12.0)
    by_hand = percentile_interval(draws(12) @ values / 12, 12)
    assert by_hand == bootstrap_interval(values)
    assert by_hand[0] < values.mean() < by_hand[1]
    assert percentile_interval(np.array([3.0, 3.0]), 1) == (3.0, 3.0)


@settings(deadline=None)
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.floats(0, 9)),
    st.integers(1, 40),
)
def test_with_equal_numbers_of_tokens_per_problem_the_ratios_interval_is_that_of_the_mean(values, count):
    ratio = bootstrap_ratio_interval(values * count, np.full((len(values), 1), count), 200)
    assert np.allclose(ratio, bootstrap_interval(values, 200))


def test_the_interval_of_a_ratio_covers_the_truth_about_95_percent_of_the_time():
    """60 problems with 1 to 30 tokens whose entropy rises with their number; mean over tokens by the moments."""
    chance, covered = np.random.default_rng(5), 0
    for _ in range(400):
        counts = chance.integers(1, 31, (60, 1)).astype(float)
        sums = counts * (0.02 * counts + chance.normal(0, 0.1, (60, 1)))
        low, high = bootstrap_ratio_interval(sums, counts, 500)
        covered += bool(low <= 0.02 * (31 * 61 / 6) / 15.5 <= high)  # E[n^2] / E[n], n uniform on 1 to 30
    assert 0.91 <= covered / 400 <= 0.98
