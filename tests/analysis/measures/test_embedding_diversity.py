"""Similarity and Vendi score: values worked out by hand, and their laws."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.embedding_diversity import (
    mean_similarity,
    pairwise_similarities,
    similarities_over_all,
    similarity_by_problem,
    similarity_over_all,
    vendi_score,
)


def random_rows(count, size, seed):
    return np.random.default_rng(seed).normal(size=(count, size))


def test_similarity_is_the_mean_over_pairs_without_the_diagonal():
    rows = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])  # cosines 0, 1/sqrt 2, 1/sqrt 2
    assert sorted(pairwise_similarities(rows)) == pytest.approx([0, 2**-0.5, 2**-0.5])
    assert mean_similarity(rows) == pytest.approx(2 / 3 * 2**-0.5)


@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 1000))
def test_mean_similarity_equals_the_mean_over_all_pairs(count, size, seed):
    rows = random_rows(count, size, seed)
    assert mean_similarity(rows) == pytest.approx(pairwise_similarities(rows).mean())


def test_one_row_and_a_row_of_zeros_are_refused():
    with pytest.raises(ValueError, match="no pair"):
        mean_similarity(np.ones((1, 3)))
    with pytest.raises(ValueError, match="no direction"):
        mean_similarity(np.array([[1.0, 0.0], [0.0, 0.0]]))


def test_similarity_over_all_includes_pairs_of_different_problems_and_samples_when_there_are_many():
    problems = {1: np.array([[1.0, 0.0], [1.0, 0.0]]), 2: np.array([[0.0, 1.0]])}
    assert list(similarity_by_problem(problems)) == pytest.approx([1.0])
    assert sorted(similarity_over_all(problems)) == pytest.approx([0, 0, 1])
    assert len(similarity_over_all(problems, most=2)) == 1
    assert similarities_over_all(problems, np.ones((1, 2))) == pytest.approx([1 / 3])


@given(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.integers(0, 1000), st.data())
def test_a_problem_drawn_twice_counts_twice_and_is_not_paired_with_its_copy(sizes, seed, data):
    problems = {number: random_rows(size, 3, seed + number) for number, size in enumerate(sizes)}
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes)).filter(any))
    drawn = [
        (number, copy, row / np.linalg.norm(row))
        for number, rows in problems.items()
        for copy in range(times[number])
        for row in rows
    ]
    pairs = [one[2] @ other[2] for one, other in combinations(drawn, 2) if one[0] != other[0] or one[1] == other[1]]
    assert similarities_over_all(problems, np.array([times], dtype=float)) == pytest.approx([np.mean(pairs)])


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        ([[2.0, 3.0]], 1),
        ([[1.0, 2.0]] * 5, 1),
        ([[1.0, 2.0], [-2.0, -4.0]], 1),  # opposite: cosine -1, eigenvalues 2 and 0
        (np.eye(4) * 7, 4),
        ([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], 3 / 2 ** (2 / 3)),  # eigenvalues of K / n: 2/3, 1/3, 0
        ([[1.0, 0.0], [0.6, 0.8]], math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.2))),  # (1 +- 0.6) / 2
    ],
)
def test_vendi_scores_equal_hand_worked_values(rows, score):
    assert vendi_score(np.array(rows)) == pytest.approx(score, rel=1e-12)


@given(st.integers(1, 8), st.integers(1, 10), st.integers(0, 1000))
def test_the_vendi_score_is_between_1_and_n_and_ignores_order_and_duplication(count, size, seed):
    rows = random_rows(count, size, seed)
    score = vendi_score(rows)
    assert 1 - 1e-9 <= score <= min(count, size) + 1e-9
    assert vendi_score(rows[np.random.default_rng(seed).permutation(count)]) == pytest.approx(score)
    assert vendi_score(np.concatenate([rows, rows * 3])) == pytest.approx(score)
