"""How alike texts are by their words: distinct n-grams, and self-BLEU."""

from collections import Counter
from collections.abc import Sequence

from sacrebleu.metrics import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

ORDER = 4  # the longest n-grams of self-BLEU
_TOKENIZE = BLEU(tokenize="intl").tokenizer


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams of all texts together, over the number of all their tokens; 0 when there are no tokens.

    Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", section 5: distinct-1
    and distinct-2, scaled by the number of tokens. It falls as texts get more, so compare equal numbers of them.
    """
    tokens = sum(map(len, texts))
    grams = {tuple(text[start : start + n]) for text in texts for start in range(len(text) - n + 1)}
    return len(grams) / tokens if tokens else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """The mean BLEU of each text against all others as its references: from 0 to 1, when each is as another.

    Zhu et al. 2018, "Texygen: A Benchmarking Platform for Text Generation Models", section on Self-BLEU; BLEU as
    sacrebleu has it for one sentence (Post 2018): n-grams up to ORDER, as many orders as the text has, exponential
    smoothing. Its tokenization is "intl", for code: every punctuation mark that is not between digits, and every sign,
    is a token; the usual "13a" keeps x-y together, and reads &lt; as <. Indentation is no token. A text without tokens
    scores 1 if another has none, else 0. It rises as texts get more. Raises ValueError for fewer than two.

    Each score is `BLEU.sentence_score`'s to the last place, but n-grams are counted once for all texts and not once
    for each pair, so that 100 texts cost ten times what 10 cost.
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
    """How many of each line's n-grams of an order the other lines have, each at most as often as one of them has it.

    The most and second most often that a line has an n-gram say what the others have: a line that has it most often
    is left with the second.
    """
    counted = [extract_all_word_ngrams(line, order, order)[0] for line in lines]
    most: Counter = Counter()
    second: Counter = Counter()
    for grams in counted:
        for gram, count in grams.items():
            if count > most[gram]:
                most[gram], second[gram] = count, most[gram]
            elif count > second[gram]:
                second[gram] = count
    return [sum(count if count < most[gram] else second[gram] for gram, count in grams.items()) for grams in counted]
