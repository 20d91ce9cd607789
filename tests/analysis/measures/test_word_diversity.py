"""Distinct n-grams and self-BLEU: values worked out by hand, and sacrebleu's own scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from analysis.measures.word_diversity import distinct_n, self_bleu


def test_distinct_n_is_the_number_of_different_n_grams_per_token():
    texts = [["a", "b", "a", "b"], ["a", "b"]]  # 6 tokens; words a, b; pairs ab, ba
    assert distinct_n(texts, 1) == pytest.approx(2 / 6)
    assert distinct_n(texts, 2) == pytest.approx(2 / 6)
    assert distinct_n(texts, 5) == 0
    assert distinct_n([[]], 1) == 0


@pytest.mark.parametrize(
    ("texts", "score"),
    [
        (["a b c d e", "a b c d e"], 1),
        (["a b", "a b", "c"], 2 / 3),  # c shares nothing with the others, a b has an equal
        (["a b c d", "e f g h"], 0),
        (["a b c d e", "a b c d f"], (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25),
        # a b: both of its orders, with length 2 against 4; a b c d: 2/4, 1/3, then 0 of 2 and 0 of 1, smoothed
        (["a b", "a b c d"], (math.exp(1 - 4 / 2) + (2 / 4 * 1 / 3 * 1 / (2 * 2) * 1 / (4 * 1)) ** 0.25) / 2),
        (["", " ", "a"], 2 / 3),
        (["", "a"], 0),
        (["f(x-y)", "f ( x - y )"], 1),
    ],
)
def test_self_bleu_equals_hand_worked_values(texts, score):
    assert self_bleu(texts) == pytest.approx(score)


@given(st.lists(st.text("ab(-=1\n ", min_size=1, max_size=12).filter(str.strip), min_size=2, max_size=5))
def test_self_bleu_equals_the_mean_of_sacrebleus_sentence_scores(texts):
    bleu = BLEU(tokenize="intl", effective_order=True)
    scores = [bleu.sentence_score(text, texts[:n] + texts[n + 1 :]).score / 100 for n, text in enumerate(texts)]
    assert self_bleu(texts) == pytest.approx(np.mean(scores))


def test_self_bleu_of_one_text_is_refused():
    with pytest.raises(ValueError, match="two texts"):
        self_bleu(["a"])
