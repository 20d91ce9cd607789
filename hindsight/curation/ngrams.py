"""Word n-grams of a text as 64-bit hashes, computed from one hash per word rather than one per n-gram."""

from collections.abc import Sequence

import numpy as np
import xxhash

LONGEST = 64  # words of an n-gram
_FACTORS = np.random.default_rng(0).integers(1 << 62, 1 << 63, LONGEST, dtype=np.uint64) | np.uint64(1)


def ngram_hashes(words: Sequence[str], n: int) -> np.ndarray:
    """The hashes of the distinct n-grams, sorted, [at most len(words) - n + 1] of uint64; empty for fewer than n words.

    An n-gram's hash is the sum of its words' hashes (XXH3), each times an odd number that depends on its place: two
    different n-grams have the same hash with a probability of about 2^-63. n is at most LONGEST.
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
