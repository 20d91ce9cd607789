"""Near duplicates among many answers: their MinHash signatures, and which answers to leave out.

Two answers are near duplicates when the sets of their word 5-grams have a Jaccard similarity of at least a threshold
(Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better", appendix A). It is estimated by MinHash
(Broder 1997; the library datasketch) with PERMUTATIONS functions: at a similarity s the standard error is
sqrt(s (1 - s) / PERMUTATIONS), 0.035 at 0.8. Only 8 bits of each value are kept, so that a million answers take 128 MB;
the estimate is corrected for bits that agree by chance (Li and Koenig 2010, "b-Bit Minwise Hashing", section 2).
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hindsight.curation.ngrams import ngram_hashes

if TYPE_CHECKING:
    from datasketch import MinHash

SHINGLE = 5  # words
PERMUTATIONS = 128  # values of a signature
MISSED = 1e-3  # at most this share of the pairs at the threshold may be missed
BY_CHANCE = 2**-8  # probability that two different values have the same 8 bits
_WORD = re.compile(r"\w+|[^\w\s]")
_MIXERS = np.random.default_rng(0).integers(1, 1 << 63, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)


def signature(text: str) -> np.ndarray:
    """The MinHash signature of a text, [PERMUTATIONS] of uint8. Case matters, blank space does not."""
    words = _WORD.findall(text)
    grams = ngram_hashes(words, min(SHINGLE, len(words)) or 1) >> np.uint64(32)
    minhash = _empty().copy()
    minhash.update_batch(grams.tolist())
    return minhash.hashvalues.astype(np.uint8)


@cache
def _empty() -> "MinHash":
    """The signature of a text without words; the library, which takes a second to import, comes when it is needed."""
    from datasketch import MinHash

    return MinHash(PERMUTATIONS, seed=1, hashfunc=int)


def without_near_duplicates(
    signatures: np.ndarray, numbers: np.ndarray, problems: np.ndarray, threshold: float
) -> np.ndarray:
    """The answers, in order, that are not near duplicates of an earlier answer that is kept.

    signatures: [all, PERMUTATIONS]; numbers: [n], the answers to compare; problems: [n], the problem of each. First the
    answers to each problem are compared with one another, all pairs, because most duplicates are found there. Then the
    remaining answers of all problems are compared, but only the pairs that LSH finds (`rows_of_a_band`).
    """
    kept = np.ones(len(numbers), dtype=bool)
    order = np.argsort(problems, kind="stable")
    _, starts = np.unique(problems[order], return_index=True)
    for places in np.split(order, starts[1:]):
        first: list[int] = []
        for place in places:
            number = int(numbers[place])
            kept[place] = not (similarity(signatures[number], signatures[first]) >= threshold).any()
            if kept[place]:
                first.append(number)
    stays = np.zeros(len(signatures), dtype=bool)
    stays[numbers[kept]] = True
    for earlier, later in _similar_pairs(signatures, numbers[kept], threshold):
        if stays[earlier]:
            stays[later] = False
    return np.flatnonzero(stays)


def similarity(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The estimated Jaccard similarities of a signature, [PERMUTATIONS], with others, [n, PERMUTATIONS]: [n]."""
    return ((others == one).mean(axis=1) - BY_CHANCE) / (1 - BY_CHANCE)


def rows_of_a_band(threshold: float) -> int:
    """The number r of values in a band: the largest at which at most MISSED of the pairs at the threshold are missed.

    A pair is found if all r values of one of the PERMUTATIONS // r bands agree, so it is missed with probability
    (1 - s^r)^(PERMUTATIONS // r) (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.2).
    """
    enough = [r for r in range(1, PERMUTATIONS + 1) if (1 - threshold**r) ** (PERMUTATIONS // r) <= MISSED]
    return max(enough, default=1)


def _similar_pairs(signatures: np.ndarray, numbers: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pairs of near duplicates among some answers, as (earlier, later) number, in order of the later one."""
    rows = rows_of_a_band(threshold)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, PERMUTATIONS - rows + 1, rows):
        for bucket in _buckets(signatures[numbers, start : start + rows]):
            members = numbers[bucket]
            for place, member in enumerate(members[:-1], start=1):
                alike = similarity(signatures[member], signatures[members[place:]]) >= threshold
                pairs.update((int(member), int(later)) for later in members[place:][alike])
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _buckets(band: np.ndarray) -> Iterator[np.ndarray]:
    """Groups of rows, in order, with equal values of a band (except for chance collisions of a 64-bit hash)."""
    keys = (band.astype(np.uint64) * _MIXERS[: band.shape[1]]).sum(axis=1, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    sizes = np.diff(ends, prepend=0, append=len(order))
    starts = np.concatenate([[0], ends])
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        yield order[start : start + size]
