"""Contamination: training problems whose text stands, in large part, in a problem that models are tested on.

Two texts are compared by their word n-grams, without case and punctuation (Brown et al. 2020, "Language Models are
Few-Shot Learners", appendix C: 13-grams). One shared n-gram proves little: sites print the same sentences under all of
their problems. So what counts is the share of n-grams that both have in those of the shorter text.

A text of fewer than n words is one gram, searched for in the other texts by its own length; one of fewer than SHORTEST
words is compared as a whole only.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hindsight.curation.ngrams import ngram_hashes
from hindsight.errors import UserError
from hindsight.problem_sets.problem_set import ProblemSet

SHORTEST = 8  # words; a sentence of fewer stands in many texts by chance
TEXT_KEYS = ("question", "prompt", "problem", "text", "description")  # of a row of a benchmark, the first that is there
_WORD = re.compile(r"\w+")


class TestTexts:
    """Texts of problems that models are tested on, and their n-grams: `texts` gives the name and the text of each."""

    __test__ = False  # not a test class, whatever pytest may think

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
            hashes, names = np.concatenate(grams[size]), np.concatenate(owners[size])
            order = np.argsort(hashes, kind="stable")
            self._by_length[size] = hashes[order], names[order]

    def __len__(self) -> int:
        return len(self.names)

    def nearest(self, text: str) -> tuple[float, str]:
        """The largest share of n-grams that a text has in common with a test's text, and that one's name."""
        words, share, name = _words(text), 0.0, ""
        for size, (hashes, owners) in self._by_length.items():
            if len(words) < size or (size < min(SHORTEST, self.n) and len(words) != size):
                continue
            own = ngram_hashes(words, size)
            first, end = np.searchsorted(hashes, own, "left"), np.searchsorted(hashes, own, "right")
            found = np.concatenate([owners[a:b] for a, b in zip(first, end, strict=True) if b > a] or [owners[:0]])
            if not len(found):
                continue
            tests, common = np.unique(found, return_counts=True)
            shares = common / np.minimum(self._sizes[tests], len(own))
            if shares.max() > share:
                share, name = float(shares.max()), self.names[tests[shares.argmax()]]
        return share, name


def read_tests(problems: str, split: str, benchmarks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and text of every test problem: those of a problem set's split, and those of benchmark files or Hub names.

    Raises UserError when one cannot be read, has no rows, or has rows without a text.
    """
    for source, part in [(problems, split)] * bool(problems) + [(each, "") for each in benchmarks]:
        rows, count = ProblemSet(source, part), 0
        for number in range(len(rows)):
            row = rows.columns(number)
            if part and row.get("split", part) != part:
                continue
            text = next((row[key] for key in TEXT_KEYS if isinstance(row.get(key), str)), None)
            if text is None:
                has, keys = ", ".join(map(str, row)), ", ".join(TEXT_KEYS)
                raise UserError(f"row {number} of {source} has none of {keys} (it has {has}), so its text is not known")
            count += 1
            yield f"{Path(source).name}{f' {part}' if part else ''} row {number}", text
        if not count:
            raise UserError(f"{source} has no problem of split {part!r} to compare with")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
