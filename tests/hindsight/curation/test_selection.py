"""Which answers become rows: limits, evenness over problems, shares, the same choice for the same seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.curation.selection import choose, farthest_first
from hindsight.errors import UserError

NUMBERS = st.lists(st.integers(1, 8), min_size=1, max_size=12)
MIXED = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)
ONE = [1.0]


def queues_of(numbers):
    """The given number of answers to each problem, of one source: (problem, number) is 100 * problem + number."""
    return [[[100 * problem + number for number in range(count)]] for problem, count in enumerate(numbers)]


def two_sources(pairs):
    """The same for two sources: numbers from 50 on are the second source's."""
    return [
        [[100 * problem + n for n in range(first)], [100 * problem + 50 + n for n in range(second)]]
        for problem, (first, second) in enumerate(pairs)
    ]


@given(NUMBERS, st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_limits_hold_and_are_reached(numbers, most, most_per_problem, seed):
    chosen = choose(queues_of(numbers), most, most_per_problem, ONE, seed)
    assert len(set(chosen)) == len(chosen)
    assert max(Counter(answer // 100 for answer in chosen).values()) <= most_per_problem
    assert len(chosen) == min(most, sum(min(count, most_per_problem) for count in numbers))


@given(NUMBERS, st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_no_problem_has_two_rows_more_than_another_that_has_answers_left(numbers, most, most_per_problem, seed):
    rows = Counter(answer // 100 for answer in choose(queues_of(numbers), most, most_per_problem, ONE, seed))
    for problem, count in enumerate(numbers):
        if rows[problem] < min(count, most_per_problem):
            assert max(rows.values()) <= rows[problem] + 1


@given(NUMBERS, st.integers(1, 9), st.integers(0, 5))
def test_the_first_answers_of_a_queue_are_taken(numbers, most_per_problem, seed):
    chosen = choose(queues_of(numbers), 1000, most_per_problem, ONE, seed)
    assert all(answer % 100 < most_per_problem for answer in chosen)


@given(MIXED, st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_the_same_seed_makes_the_same_choice(pairs, most, most_per_problem, seed):
    queues = two_sources(pairs)
    if all(any(pair[source] for pair in pairs) for source in (0, 1)):
        choices = [_or_none(queues, most, most_per_problem, (1, 1), seed) for _ in range(2)]
        assert choices[0] == choices[1]


def _or_none(*arguments):
    try:
        return choose(*arguments)
    except UserError:
        return None


def test_another_seed_makes_another_choice():
    assert choose(queues_of([8] * 20), 10, 1, ONE, 0) != choose(queues_of([8] * 20), 10, 1, ONE, 1)


@given(MIXED, st.integers(1, 9), st.sampled_from([(1, 1), (3, 1), (0.2, 0.8), (0, 1)]), st.integers(0, 5))
def test_shares_are_exact_to_one_row(pairs, most_per_problem, shares, seed):
    chosen = _or_none(two_sources(pairs), 30, most_per_problem, shares, seed)
    if chosen is None:
        return
    given = [sum(answer % 100 < 50 for answer in chosen), sum(answer % 100 >= 50 for answer in chosen)]
    for rows, share in zip(given, shares, strict=True):
        assert abs(rows - share / sum(shares) * len(chosen)) <= 1


def test_the_scarcer_source_sets_the_size():
    """The first source can give 3 rows, so half and half make 6, and one to three make 12."""
    queues = two_sources([(1, 9), (1, 9), (1, 9)])
    assert len(choose(queues, 100, 9, (1, 1), 0)) == 6
    assert len(choose(queues, 100, 9, (1, 3), 0)) == 12


def test_a_share_of_a_source_without_answers_is_refused():
    with pytest.raises(UserError, match="no answer is left"):
        choose(two_sources([(3, 0), (2, 0)]), 10, 2, (1, 1), 0)
    assert len(choose(two_sources([(3, 0), (2, 0)]), 10, 2, (1, 0), 0)) == 4


def test_the_farthest_come_first():
    """On a line from 0 to 10: first the ends, then 5, five away from both, then 2 and 8, two away from one."""
    points = np.array([0.0, 2.0, 5.0, 8.0, 10.0])
    order = farthest_first(lambda i: abs(points - points[i]), 5, 5, start=0)
    assert order[:3] == [0, 4, 2] and set(order[3:]) == {1, 3}
    assert farthest_first(lambda i: abs(points - points[i]), 5, 2, start=0) == [0, 4]
    assert farthest_first(lambda i: np.zeros(3), 3, 9, start=1) == [1, 0, 2]
