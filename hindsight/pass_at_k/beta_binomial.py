"""The beta-binomial model of counts of correct answers: success probabilities follow a beta distribution.

Kazdan et al. 2025, "Efficient Prediction of Pass@k Scaling in Large Language Models", predict pass@k with it. Here some
problems may also be out of reach (chance 0) or always solved (chance 1), if the Bayesian information criterion (Schwarz
1978) prefers that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, digamma, gammaln

from hindsight.pass_at_k.mixing_distributions import AnswerCounts

FARTHEST = 9.0  # of the logarithms of the parameters from 0
NUDGE = 1e-4  # for derivatives
SHARES = (False, False), (True, False), (False, True), (True, True)  # whether a model has `never` and `always`


@dataclass(frozen=True)
class BetaMixture:
    """Chances that follow Beta(a, b), except for the shares of problems that are `never` and `always` solved."""

    a: float
    b: float
    never: float = 0.0
    always: float = 0.0

    def pass_at_k(self, k: int) -> float:
        """The mean of 1 - (1 - p)^k over problems."""
        unsolved = float(np.exp(betaln(self.a, self.b + k) - betaln(self.a, self.b)))
        return 1 - self.never - (1 - self.never - self.always) * unsolved

    def weights(self, grid: np.ndarray) -> np.ndarray:
        """The same distribution on a grid of chances from 0 to 1, [grid]; each point gets the mass nearest to it."""
        below = np.concatenate([[0.0], betainc(self.a, self.b, (grid[1:] + grid[:-1]) / 2), [1.0]])
        weights = (1 - self.never - self.always) * np.diff(below)
        weights[[0, -1]] += self.never, self.always
        return weights

    def log_chances(self, counts: AnswerCounts) -> tuple[np.ndarray, np.ndarray]:
        """The log likelihood of each cell's count, [cells], and its gradient, [4, cells].

        The gradient is with respect to log a, log b, and the log odds of `never` and of `always`.
        """
        n, c = counts.samples, counts.correct
        ways = gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)
        body = np.exp(ways + betaln(c + self.a, n - c + self.b) - betaln(self.a, self.b))
        body *= 1 - self.never - self.always
        none, whole = c == 0, c == n
        chances = np.maximum(body + self.never * none + self.always * whole, 1e-300)
        more = digamma(self.a + self.b) - digamma(n + self.a + self.b)
        by_a = body * self.a * (digamma(c + self.a) - digamma(self.a) + more)
        by_b = body * self.b * (digamma(n - c + self.b) - digamma(self.b) + more)
        slopes = [by_a, by_b, self.never * (none - chances), self.always * (whole - chances)]
        return np.log(chances), np.stack(slopes) / chances


@dataclass(frozen=True, eq=False)
class BetaFit:
    """The maximum-likelihood mixture; parameters: log a, log b, and the log odds of the shares that it has."""

    counts: AnswerCounts
    parameters: np.ndarray
    shares: tuple[bool, bool]

    @property
    def mixture(self) -> BetaMixture:
        return _mixture(self.parameters, self.shares)

    def values(self, k: int) -> np.ndarray:
        """One value per problem, [problems]: their mean is the model's pass@k, their spread gives its error.

        Each is pass@k plus the problem's influence on it (Huber 1967, "The behavior of maximum likelihood estimates
        under nonstandard conditions"): means and paired differences of these values have the variance of the estimates,
        whether the model is right or not.
        """
        slope = _derivative(lambda at: np.array(_mixture(at, self.shares).pass_at_k(k)), self.parameters)
        scores = _scores(self.parameters, self.shares, self.counts)
        curvature = -_derivative(
            lambda at: _scores(at, self.shares, self.counts) @ self.counts.problems, self.parameters
        )
        weights = np.linalg.pinv((curvature + curvature.T) / 2, rcond=1e-6, hermitian=True) @ slope
        influence = self.counts.problems.sum() * (weights @ scores)
        return self.mixture.pass_at_k(k) + influence[self.counts.cell]


def fit_beta_binomial(counts: AnswerCounts) -> BetaFit:
    """The model that fits the counts best: with shares at chances 0 and 1, with one of them, or with neither.

    A model with as many parameters as there are different counts would fit anything; it is tried only if it is the only
    one.
    """
    some = (counts.correct == 0).any(), (counts.correct == counts.samples).any()
    asked = [shares for shares in SHARES if all(np.less_equal(shares, some)) and sum(shares) + 2 < len(counts.problems)]
    found = [_fit(counts, shares) for shares in asked or SHARES[:1]]
    return min(found, key=lambda each: each[0])[1]


def _fit(counts: AnswerCounts, shares: tuple[bool, bool]) -> tuple[float, BetaFit]:
    """A model's maximum-likelihood parameters, and half its information criterion."""
    from scipy.optimize import minimize  # slow to import

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        chances, slopes = _mixture(parameters, shares).log_chances(counts)
        return -float(counts.problems @ chances), -slopes[[True, True, *shares]] @ counts.problems

    start = np.array([-0.5, -0.5, *[-2.0] * sum(shares)])
    best = minimize(loss, start, method="L-BFGS-B", jac=True, bounds=[(-FARTHEST, FARTHEST)] * len(start))
    return best.fun + len(start) / 2 * np.log(counts.problems.sum()), BetaFit(counts, best.x, shares)


def _scores(parameters: np.ndarray, shares: tuple[bool, bool], counts: AnswerCounts) -> np.ndarray:
    """The gradient of each cell's log likelihood, [parameters, cells]."""
    _, slopes = _mixture(parameters, shares).log_chances(counts)
    return slopes[[True, True, *shares]]


def _mixture(parameters: np.ndarray, shares: tuple[bool, bool]) -> BetaMixture:
    a, b = np.exp(parameters[:2])
    odds = np.zeros(2)
    odds[list(shares)] = np.exp(parameters[2:])
    never, always = odds / (1 + odds.sum())
    return BetaMixture(float(a), float(b), float(never), float(always))


def _derivative(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """The derivative with respect to each parameter, [parameters, ...]."""
    nudges = NUDGE * np.eye(len(at))
    return np.stack([(function(at + nudge) - function(at - nudge)) / (2 * NUDGE) for nudge in nudges])
