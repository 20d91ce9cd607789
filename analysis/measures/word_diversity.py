"""How similar texts are in their words: distinct n-grams and self-BLEU."""

from collections import Counter
from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

ORDER = 4  # longest n-grams of self-BLEU
_TOKENIZE = BLEU(tokenize="intl").tokenizer


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams in all texts together, per token; 0 without tokens.

    Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", section 5: distinct-1
    and distinct-2, scaled by the number of tokens. More texts give lower values, so compare equal numbers of texts.
    """
    tokens = sum(map(len, texts))
    grams = {tuple(text[start : start + n]) for text in texts for start in range(len(text) - n + 1)}
    return len(grams) / tokens if tokens else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """The mean BLEU of each text with all others as references, from 0 to 1 (each text equals another).

    Zhu et al. 2018, "Texygen: A Benchmarking Platform for Text Generation Models", section on Self-BLEU, with
    sacrebleu's sentence BLEU (Post 2018): n-grams up to ORDER, only the orders that the text has, exponential
    smoothing. The tokenization is "intl", which suits code: every symbol, and every punctuation mark that is not
    between digits, is a token; the usual "13a" keeps x-y together and reads &lt; as <. Indentation is not a token. A
    text without tokens scores 1 if another text has none either, else 0. More texts give higher
    values. Raises ValueError for fewer than two.

    Each score equals `BLEU.sentence_score` to the last digit, but n-grams are counted once for all texts instead of
    once per pair: 100 texts cost ten times as much as 10.
    """
    if len(texts) < 2:
        raise ValueError("self-BLEU needs two texts")
    lines = [_TOKENIZE(text.rstrip()) for text in texts]
    lengths = [len(line.split()) for line in lines]
    by_order = [_matches(lines, order) for order in range(1, ORDER + 1)]
    scores = []
    for number, length in enumerate(lengths):
        others = lengths[:number] + lengths[number + 1 :]
        nearest = min(others, key=lambda other, length=length: (abs(other - length), other))
        correct = [matches[number] for matches in by_order]
        total = [max(length - order + 1, 0) for order in range(1, ORDER + 1)]
        score = BLEU.compute_bleu(correct, total, length, nearest, smooth_method="exp", effective_order=True).score
        scores.append(score / 100 if length else float(nearest == 0))
    return sum(scores) / len(scores)


def _matches(lines: Sequence[str], order: int) -> list[int]:
    """The number of each line's n-grams of an order that another line has, each counted up to its count there.

    The two largest counts of an n-gram in any line suffice: a line that has the largest is compared with the second.
    """
    counted = [extract_all_word_ngrams(line, order, order)[0] for line in lines]
    most: Counter[tuple[str, ...]] = Counter()
    second: Counter[tuple[str, ...]] = Counter()
    for grams in counted:
        for gram, count in grams.items():
            if count > most[gram]:
                most[gram], second[gram] = count, most[gram]
            elif count > second[gram]:
                second[gram] = count
    return [sum(count if count < most[gram] else second[gram] for gram, count in grams.items()) for grams in counted]
