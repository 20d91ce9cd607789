"""Which distributions of success chances are compatible with the counts, and which pass@k they allow.

Each problem has a success probability p. Nothing is assumed about the distribution of p over problems: counts are
binomial mixtures, and the likeliest distribution is that of Kiefer and Wolfowitz (1956). pass@k on problems like these
is the mean of 1 - (1 - p)^k, for every k, even above the number of answers. There the counts determine it only within a
range, however many problems there are.

The distribution has weights on a fixed fine grid (Koenker and Mizera 2014, "Convex Optimization, Shape Constraints,
Compound Decisions, and Empirical Bayes Rules").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln, stdtrit, xlog1py, xlogy

from hindsight.pass_at_k.barrier_method import EXACT, Constrained, Likeliest, follow_path

STEP = 0.125  # of the grid in arcsin sqrt(p), in units of 1 / sqrt(n); the standard deviation of a count is 0.5 there
FEWEST = 40  # steps
SMALL = 16  # chances below the first step


@dataclass(frozen=True, eq=False)
class AnswerCounts:
    """How many of each problem's answers are correct; problems with equal numbers are one cell.

    samples, correct, problems: [cells], the numbers and how many problems have them; cell: [problems], of each problem.
    """

    samples: np.ndarray
    correct: np.ndarray
    problems: np.ndarray
    cell: np.ndarray

    @classmethod
    def of(cls, samples: Sequence[int] | np.ndarray, correct: Sequence[int] | np.ndarray) -> "AnswerCounts":
        """From two arrays, [problems]. Raises ValueError unless 0 <= correct <= samples and 1 <= samples everywhere."""
        pairs = np.stack([np.asarray(samples, dtype=np.int64), np.asarray(correct, dtype=np.int64)], axis=1)
        if not len(pairs) or (pairs[:, 0] < 1).any() or (pairs[:, 1] < 0).any() or (pairs[:, 1] > pairs[:, 0]).any():
            raise ValueError("each problem needs at least one answer, of which none to all are correct")
        cells, cell, problems = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        return cls(cells[:, 0], cells[:, 1], problems, cell.reshape(-1))

    @cached_property
    def grid(self) -> np.ndarray:
        """Chances from 0 to 1, [grid]: even in arcsin sqrt(p), and fine near 0, where a large k tells them apart."""
        most = int(self.samples.max())
        steps = max(FEWEST, int(np.ceil(np.pi / 2 * most**0.5 / STEP)))
        even = np.sin(np.linspace(0, np.pi / 2, steps)) ** 2
        return np.concatenate([[0.0], np.geomspace(1e-3 / most, even[1], SMALL, endpoint=False), even[1:]])

    @cached_property
    def chances(self) -> np.ndarray:
        """The chance of each cell's count at each chance of the grid, [cells, grid]."""
        return chances_of_count(self.samples[:, None], self.correct[:, None], self.grid)

    def log_likelihood(self, weights: np.ndarray) -> float:
        """Of a distribution, weights on the grid."""
        with np.errstate(divide="ignore"):
            return float(self.problems @ np.log(self.chances @ weights))


def chances_of_count(samples: np.ndarray | int, correct: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """The binomial chance of so many correct samples, for each number and chance; the arrays broadcast."""
    ways = gammaln(samples + 1) - gammaln(correct + 1) - gammaln(samples - correct + 1)
    return np.exp(ways + xlogy(correct, chances) + xlog1py(samples - correct, -chances))


def chances_of_success(grid: np.ndarray, k: int) -> np.ndarray:
    """1 - (1 - p)^k at each p of a grid."""
    with np.errstate(divide="ignore"):
        return -np.expm1(k * np.log1p(-grid))


def likeliest_distribution(counts: AnswerCounts) -> np.ndarray:
    """The weights under which the counts are likeliest, [grid]; all are above zero, some only just."""
    weights = np.full(len(counts.grid), 1 / len(counts.grid))
    return follow_path(weights, Likeliest(counts.chances, counts.problems), sharpness=1.0)


def tolerated_loss(problems: int) -> float:
    """How far below the largest one a distribution's log likelihood may be, for 95 % intervals of pass@k.

    Half the quantile of chi square with one degree of freedom (Wilks 1938; without a model, Owen 1988), widened for few
    problems by Student's t as in `percentile_interval`. With one problem it is infinite.
    """
    if problems == 1:
        return np.inf
    return float(stdtrit(problems - 1, 0.975) ** 2 * problems / (problems - 1) / 2)


def pass_at_k_range(counts: AnswerCounts, start: np.ndarray, least: float, k: int) -> tuple[float, float]:
    """The smallest and the largest pass@k of the distributions whose log likelihood is at least `least`, to EXACT.

    start: weights above zero, [grid], of one whose log likelihood is larger.
    """
    if np.isinf(least):
        return 0.0, 1.0
    target = chances_of_success(counts.grid, k)
    low, high = (
        target @ follow_path(start, Constrained(counts.chances, counts.problems, sign * target, least), len(start))
        for sign in (-1, 1)
    )
    return max(0.0, float(low) - EXACT), min(1.0, float(high) + EXACT)
