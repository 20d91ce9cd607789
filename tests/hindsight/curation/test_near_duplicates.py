"""Near duplicates: MinHash's estimates, the pairs that LSH finds, and which answer is kept."""

import functools
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hindsight.curation import near_duplicates
from hindsight.curation.near_duplicates import (
    PERMUTATIONS,
    rows_of_a_band,
    signature,
    similarity,
    without_near_duplicates,
)
from hindsight.curation.ngrams import ngram_hashes

WORDS = [f"word{number}" for number in range(200)]


@functools.cache
def shingles(text):
    words = re.findall(r"\w+|[^\w\s]", text)
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def jaccard(one, other):
    one, other = shingles(one), shingles(other)
    return len(one & other) / len(one | other)


def make_text(chance, length=100):
    return " ".join(chance.choices(WORDS, k=length))


def change(chance, text, times):
    words = text.split()
    for _ in range(times):
        words[chance.randrange(len(words))] = chance.choice(WORDS)
    return " ".join(words)


def keep(texts, problems, threshold=0.8):
    numbers = np.arange(len(texts))
    found = np.stack([signature(text) for text in texts])
    return without_near_duplicates(found, numbers, np.array(problems), threshold).tolist()


def test_a_signature_estimates_the_jaccard_similarity():
    """The mean error of 200 pairs is within four standard errors of 0; that of one pair is at most 0.044."""
    chance, errors = random.Random(0), []
    for number in range(200):
        text = make_text(chance)
        other = change(chance, text, number % 12)
        errors.append(similarity(signature(text), signature(other)[None])[0] - jaccard(text, other))
    assert abs(np.mean(errors)) < 4 * 0.044 / 200**0.5
    assert np.std(errors) < 0.05


def test_different_texts_have_no_similarity():
    chance = random.Random(1)
    found = np.stack([signature(make_text(chance)) for _ in range(300)])
    assert abs(similarity(found[0], found[1:]).mean()) < 0.003


def test_white_space_does_not_count_and_every_text_has_a_signature():
    assert (signature("a b  c\n d (e)") == signature("a b c d ( e )")).all()
    assert not (signature("a b c d e") == signature("A b c d e")).all()
    for text in ("", "x", "\ud800"):
        assert signature(text).shape == (PERMUTATIONS,)


def test_a_pair_at_the_threshold_is_missed_at_most_once_in_a_thousand():
    for threshold in (0.3, 0.5, 0.8, 0.9, 0.99):
        rows = rows_of_a_band(threshold)
        assert (1 - threshold**rows) ** (PERMUTATIONS // rows) <= 1e-3
        assert (1 - threshold ** (rows + 1)) ** (PERMUTATIONS // (rows + 1)) > 1e-3
    assert rows_of_a_band(1.0) == PERMUTATIONS


def test_the_first_of_near_duplicates_is_kept_within_and_between_problems():
    chance = random.Random(2)
    text, other = make_text(chance), make_text(chance)
    near = change(chance, text, 1)
    assert keep([text, near, other], [7, 7, 7]) == [0, 2]
    assert keep([near, other, text], [7, 8, 9]) == [0, 1]
    assert keep([text, near, other], [7, 7, 7], threshold=1.0) == [0, 1, 2]


def test_in_a_chain_only_answers_near_a_kept_one_are_left_out():
    """Each answer is near the one before it, but the third is not near the first, so both are kept."""
    chance = random.Random(3)
    words = make_text(chance, 200).split()
    chain = [" ".join(words[start : start + 100]) for start in (0, 8, 16)]
    assert keep(chain, [1, 1, 1]) == [0, 2] and keep(chain, [1, 2, 3]) == [0, 2]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.8, 0.95]))
def test_the_kept_answers_are_those_of_comparing_all_pairs(seed, threshold):
    chance = random.Random(seed)
    texts = [make_text(chance) for _ in range(5)]
    texts += [change(chance, chance.choice(texts), chance.randrange(15)) for _ in range(25)]
    chance.shuffle(texts)
    found = np.stack([signature(text) for text in texts])
    kept = without_near_duplicates(found, np.arange(30), np.arange(30), threshold).tolist()
    by_hand = []
    for number in range(30):
        if not by_hand or similarity(found[number], found[by_hand]).max() < threshold:
            by_hand.append(number)
    assert kept == by_hand


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_no_kept_answer_is_near_and_no_far_answer_is_left_out(seed):
    """By the true similarity, within four standard errors of the estimate."""
    chance = random.Random(seed)
    texts = [make_text(chance) for _ in range(4)]
    texts += [change(chance, chance.choice(texts), chance.randrange(8)) for _ in range(20)]
    problems = [chance.randrange(4) for _ in texts]
    kept = keep(texts, problems)
    for number, text in enumerate(texts):
        others = [jaccard(text, texts[other]) for other in range(len(texts)) if other != number]
        if number not in kept:
            assert max(others) > 0.8 - 0.16
    assert all(jaccard(texts[a], texts[b]) < 0.8 + 0.16 for a in kept for b in kept if a < b)


def test_many_similar_answers_to_a_problem_are_compared_only_with_kept_ones(monkeypatch):
    """Otherwise ten thousand pairs of hundreds of similar answers would be in memory."""
    asked = []

    def counted(one, others):
        asked.append(len(others))
        return similarity(one, others)

    monkeypatch.setattr(near_duplicates, "similarity", counted)
    text = make_text(random.Random(4))
    assert keep([f"{text} {number}" for number in range(300)], [1] * 300) == [0]
    assert sum(asked) < 400


def test_n_grams_differ_by_words_and_order():
    grams = [ngram_hashes(text.split(), 2) for text in ("a b", "b a", "ab c", "a bc")]
    assert len({tuple(gram) for gram in grams}) == 4
    assert len(ngram_hashes(["a", "b", "a", "b", "a"], 2)) == 2
    assert len(ngram_hashes(["a"], 2)) == 0
