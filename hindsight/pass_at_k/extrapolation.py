"""pass@k beyond the number of samples: an empirical-Bayes estimate, and the interval that the counts allow.

    found = extrapolate(samples, correct, ks=(10, 20, 50, 100))   # of 10 answers to each problem
    found.mean, found.low, found.high                             # [ks]
    found.open_from                                               # 50: from here on the counts leave pass@k open

The estimate assumes, as far as the counts allow, that success probabilities follow a beta distribution over problems.
The interval assumes nothing about them: it covers all distributions that the counts do not reject, so the estimate
lies within it. Both are about other problems like these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hindsight.pass_at_k.beta_binomial import fit_beta_binomial
from hindsight.pass_at_k.mixing_distributions import (
    AnswerCounts,
    chances_of_success,
    likeliest_distribution,
    pass_at_k_range,
    tolerated_loss,
)

FARTHEST = 10  # times the number of answers to a problem
WIDER, WIDE = 1.5, 0.5  # too wide: WIDER times as wide as at the number of answers, or wider than WIDE


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """pass@k with its 95 % interval, [ks] each; answers: the fewest of a problem.

    beta_share: how much of the estimate's distribution is the beta-binomial model's; 1 where the counts allow it whole.
    open_from: the smallest of the ks above `answers` whose interval is wider than WIDE, or WIDER times as wide as at
    `answers`; or None. From there the estimate rests on the shape of the beta distribution.
    """

    ks: tuple[int, ...]
    answers: int
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    beta_share: float
    open_from: int | None


@dataclass(frozen=True, eq=False)
class FittedDistribution:
    """The estimated distribution of success chances, as weights on the grid of `counts`, and the likeliest one."""

    counts: AnswerCounts
    weights: np.ndarray
    likeliest: np.ndarray
    least: float
    beta_share: float

    def interval(self, k: int) -> tuple[float, float]:
        """The 95 % interval of pass@k."""
        return pass_at_k_range(self.counts, self.likeliest, self.least, k)


def fit_distribution(counts: AnswerCounts) -> FittedDistribution:
    """The beta-binomial fit; if the counts reject it, mixed with as little of the likeliest one as they need."""
    likeliest = likeliest_distribution(counts)
    least = counts.log_likelihood(likeliest) - tolerated_loss(int(counts.problems.sum()))
    beta = fit_beta_binomial(counts).mixture.weights(counts.grid)
    refused, allowed = 1.0, 0.0  # shares of the beta; the log likelihood is concave in them
    if counts.log_likelihood(beta) >= least:
        allowed = 1.0
    while refused - allowed > 1e-3:
        share = (refused + allowed) / 2
        if counts.log_likelihood(share * beta + (1 - share) * likeliest) >= least:
            allowed = share
        else:
            refused = share
    return FittedDistribution(counts, allowed * beta + (1 - allowed) * likeliest, likeliest, least, allowed)


def extrapolate(
    samples: Sequence[int] | np.ndarray, correct: Sequence[int] | np.ndarray, ks: Sequence[int]
) -> Extrapolation:
    """pass@k for ks up to FARTHEST times the fewest answers of a problem; samples and correct are [problems].

    Raises ValueError for larger ks and for numbers that cannot be counts.
    """
    counts = AnswerCounts.of(samples, correct)
    answers = int(counts.samples.min())
    if not ks or min(ks) < 1 or max(ks) > FARTHEST * answers:
        raise ValueError(f"ks are from 1 to {FARTHEST * answers} for {answers} answers, not {list(ks)}")
    fitted = fit_distribution(counts)
    mean = np.array([chances_of_success(counts.grid, k) @ fitted.weights for k in ks])
    low, high = np.array([fitted.interval(k) for k in ks]).T
    narrow_low, narrow_high = fitted.interval(answers)
    limit = min(WIDE, WIDER * (narrow_high - narrow_low))
    wide = [k for k, width in zip(ks, high - low, strict=True) if k > answers and width > limit]
    return Extrapolation(tuple(ks), answers, mean, low, high, fitted.beta_share, min(wide, default=None))
