"""Word n-grams of a text as 64-bit hashes: made with one hash a word and some sums, not one a gram."""

from collections.abc import Sequence

import numpy as np
import xxhash

LONGEST = 64  # words of a gram
_FACTORS = np.random.default_rng(0).integers(1 << 62, 1 << 63, LONGEST, dtype=np.uint64) | np.uint64(1)


def ngram_hashes(words: Sequence[str], n: int) -> np.ndarray:
    """The hashes of the different n-grams, sorted, [at most len(words) - n + 1] of uint64; none for fewer words.

    A gram's hash is the sum of its words' hashes (XXH3), each times an odd number that its place in the gram gives: two
    different grams have the same one with a probability of about 2^-63. n is at most LONGEST.
    """
    count = len(words) - n + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    hashes = [xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) for word in words]
    each = np.array(hashes, dtype=np.uint64)
    total = np.zeros(count, dtype=np.uint64)
    for place in range(n):
        total += each[place : place + count] * _FACTORS[place]
    return np.unique(total)
