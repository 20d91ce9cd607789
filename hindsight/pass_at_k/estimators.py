"""The unbiased estimator of pass@k (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1),
and means over problems with their 95 % intervals.

Values are given by question id and sorted before anything is added up or resampled, so the order in which files were
read does not change a digit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from scipy.special import ndtr, stdtrit  # the normal distribution; quantiles of Student's t

QuestionId = TypeVar("QuestionId", int, str)


@dataclass(frozen=True)
class Estimate:
    """A mean over problems with the ends of its 95 % interval, and the number of problems."""

    mean: float
    low: float
    high: float
    problems: int

    def __str__(self) -> str:
        return self.text()

    def text(self, sign: str = "", digits: int = 3) -> str:
        """As "0.812 [0.790, 0.833]", or with "+" for the sign as "+0.012 [-0.010, +0.033]"."""
        mean, low, high = (f"{number:{sign}.{digits}f}" for number in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


@lru_cache(1 << 16)  # problems often share their counts
def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k samples, drawn without replacement from n of which c are correct, is correct.

    1 - C(n - c, k) / C(n, k), as a product of factors in [0, 1], so nothing overflows at any n.
    Raises ValueError unless 0 <= c <= n and 1 <= k <= n: with fewer than k samples there is no unbiased estimate.
    """
    if not 0 <= c <= n:
        raise ValueError(f"{c} correct of {n} samples")
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples, there are {n}")
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def pass_at_ks(samples: np.ndarray, correct: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """pass@k of each problem, [problems, ks], from its numbers of samples and of correct ones, [problems] each."""
    return np.array([[pass_at_k(int(n), int(c), k) for k in ks] for n, c in zip(samples, correct, strict=True)])


def in_order(questions: Iterable[QuestionId]) -> list[QuestionId]:
    """Question ids in the one order of every estimate: numbers by size, even if they are text, then other texts."""

    def key(question: QuestionId) -> tuple[bool, int, str]:
        text = str(question)
        return not text.isdecimal(), int(text) if text.isdecimal() else 0, text

    return sorted(questions, key=key)


def estimate_mean(values: Mapping[Any, float]) -> Estimate:
    """The mean of one value per question id, with its interval. Raises ValueError for no value."""
    mean, low, high = estimate_means(values)
    return Estimate(float(mean), float(low), float(high), len(values))


def estimate_means(values: Mapping[Any, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The means over problems and both ends of their intervals, [columns] each; `values` has [columns] by question id.

    Raises ValueError for no value.
    """
    if not values:
        raise ValueError("there is no value")
    table = np.array([values[question] for question in in_order(values)], dtype=np.float64)
    return table.mean(axis=0), *bootstrap_interval(table)


def estimate_difference(one: Mapping[Any, float], other: Mapping[Any, float]) -> Estimate:
    """The mean of `one` minus `other`, paired by question id, on the questions of both, with its interval.

    Raises ValueError when they have no question in common.
    """
    mean, low, high = estimate_differences(one, other)
    return Estimate(float(mean), float(low), float(high), len(one.keys() & other.keys()))


def estimate_differences(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `estimate_means`, for paired differences: `one` and `other` have [columns] by question id."""
    return estimate_means({question: one[question] - other[question] for question in one.keys() & other.keys()})


def bootstrap_interval(values: np.ndarray, resamples: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The ends, [columns] each, of the 95 % intervals of the means of `values`, [problems, columns], or of [problems].

    The percentile bootstrap over problems (Efron 1979): problems are resampled, each with all of its values, so what
    is estimated is the mean over problems like these. `percentile_interval` gives the ends. Rows are expected in a
    fixed order, as `estimate_means` sorts them: the same rows, order and seed give the same ends.
    """
    return bootstrap_ratio_interval(values, np.ones_like(values, dtype=np.float64), resamples, seed)


def bootstrap_ratio_interval(
    sums: np.ndarray, counts: np.ndarray, resamples: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The ends, [columns] each, of the 95 % intervals of `sums.sum(0) / counts.sum(0)`, by the same bootstrap.

    This is a mean over items, such as answers or tokens, of which problems have unequal numbers: each resampled problem
    brings its sum and its count. `sums` is [problems, columns], `counts`, above 0, is that or [problems, 1]; or both
    are [problems]. Rows are expected in a fixed order, as for `bootstrap_interval`.
    """
    weights = draws(len(sums), resamples, seed)
    return percentile_interval(weights @ sums / (weights @ counts), len(sums))


def percentile_interval(resampled: np.ndarray, problems: int) -> tuple[np.ndarray, np.ndarray]:
    """The ends of 95 % intervals from the statistics of `draws`, [resamples] or [resamples, columns].

    For few problems the quantiles are moved outwards by Student's t (the expanded percentile interval of Hesterberg
    2015, "What Teachers Should Know About the Bootstrap"). With one problem both ends are its value.
    """
    if problems == 1:
        return resampled[0], resampled[0]
    outside = ndtr(-((problems / (problems - 1)) ** 0.5) * stdtrit(problems - 1, 0.975))
    low, high = np.quantile(resampled, [outside, 1 - outside], axis=0)
    return low, high


@lru_cache(4)
def draws(problems: int, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """How often each problem is drawn in each resample, [resamples, problems]; equal for equal numbers of problems."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(problems, np.full(problems, 1 / problems), size=resamples).astype(np.float64)
