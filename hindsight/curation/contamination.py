"""Contamination: training problems whose text is, in large part, also in a problem that models are tested on.

Two texts are compared by their word n-grams, ignoring case and punctuation (Brown et al. 2020, "Language Models are
Few-Shot Learners", appendix C: 13-grams). One shared n-gram proves little, because sites print the same sentences under
all of their problems, so the measure is the share of the shorter text's n-grams that both texts have.

A text of fewer than n words counts as one n-gram of its own length, which is searched for in the other texts. A text
of fewer than SHORTEST words is only compared with whole texts.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hindsight.curation.ngrams import ngram_hashes
from hindsight.errors import UserError
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.taco import TEXT_KEYS

SHORTEST = 8  # words; a shorter sentence occurs in many texts by chance
_WORD = re.compile(r"\w+")


class BenchmarkTexts:
    """The n-grams of the problems that models are tested on. `texts`: the name and the text of each."""

    def __init__(self, texts: Iterable[tuple[str, str]], n: int):
        self.n, self.names = n, []
        grams: dict[int, list[np.ndarray]] = {}
        owners: dict[int, list[np.ndarray]] = {}
        sizes = []
        for number, (name, text) in enumerate(texts):
            words = _words(text)
            size = min(n, len(words))
            own = ngram_hashes(words, size)
            self.names.append(name)
            sizes.append(len(own))
            grams.setdefault(size, []).append(own)
            owners.setdefault(size, []).append(np.full(len(own), number, dtype=np.int32))
        self._sizes = np.array(sizes)
        self._by_length = {}
        for size in grams:
            hashes, numbers = np.concatenate(grams[size]), np.concatenate(owners[size])
            order = np.argsort(hashes, kind="stable")
            self._by_length[size] = hashes[order], numbers[order]

    def __len__(self) -> int:
        return len(self.names)

    def nearest(self, text: str) -> tuple[float, str]:
        """The largest share of n-grams that a text has in common with one of the problems, and that problem's name."""
        words, share, name = _words(text), 0.0, ""
        for size, (hashes, owners) in self._by_length.items():
            if len(words) < size or (size < min(SHORTEST, self.n) and len(words) != size):
                continue
            own = ngram_hashes(words, size)
            first, end = np.searchsorted(hashes, own, "left"), np.searchsorted(hashes, own, "right")
            found = np.concatenate([owners[a:b] for a, b in zip(first, end, strict=True) if b > a] or [owners[:0]])
            if not len(found):
                continue
            numbers, common = np.unique(found, return_counts=True)
            shares = common / np.minimum(self._sizes[numbers], len(own))
            if shares.max() > share:
                share, name = float(shares.max()), self.names[numbers[shares.argmax()]]
        return share, name


def read_benchmarks(problems: str, split: str, benchmarks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and text of every test problem: a problem set's split, and all rows of benchmark files or Hub names.

    Raises UserError if one of them cannot be read, has no rows, or has a row without a text.
    """
    for source, part in [(problems, split)] * bool(problems) + [(each, "") for each in benchmarks]:
        rows, count = ProblemSet(source, part), 0
        for number in range(len(rows)):
            row = rows.columns(number)
            if part and row.get("split", part) != part:
                continue
            text = rows.text(number, row)
            if text is None:
                keys, has = ", ".join(TEXT_KEYS), ", ".join(map(str, row))
                raise UserError(f"row {number} of {source} needs its text as one of {keys}, but it only has {has}")
            count += 1
            yield f"{Path(source).name}{f' {part}' if part else ''} row {number}", text
        if not count:
            raise UserError(f"{source} has no problem of split {part!r} to compare with")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
