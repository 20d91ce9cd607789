"""Which alpha is best, and where to sample next: best-arm identification over alphas.

Each round samples at the alpha that looks best and at its strongest rival, the one most likely to exceed it by more
than the tolerance, until none does at the given confidence: EB-TC-epsilon, a top-two method (Jourdan, Degenne and
Kaufmann 2023, "An epsilon-Best-Arm Identification Algorithm for Fixed-Confidence and Beyond"), here with both in each
round. The beliefs about the alphas are the posterior of a Gaussian process along alpha, as in BayesGap (Hoffman,
Shahriari and de Freitas 2014, "On correlation and budget constraints in model-based bandit optimization"), so
neighbours inform each other. Its noise is the covariance over problems: all alphas answer the same problems, so what
makes a problem hard for all of them cancels out.

With a second measure that must reach a level, the best alpha is sought among those that may reach it ("top feasible arm
identification", Katz-Samuels and Scott 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import stdtrit  # quantiles of Student's t

# in alpha over which a measure changes; 0.02: no smoothing
LENGTHS = (0.02, 0.05, 0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8)
SIZES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # of its changes, in units of its largest value or 1
JITTER = 1e-8


@dataclass(frozen=True, eq=False)
class Beliefs:
    """The mean of a measure at each alpha, [alphas], and the covariance of its uncertainty."""

    alphas: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    problems: int

    def errors_against(self, lead: int) -> np.ndarray:
        """The standard errors of the differences to one alpha, [alphas]."""
        variances = np.diag(self.covariance)
        return np.sqrt(np.maximum(variances + variances[lead] - 2 * self.covariance[lead], 0))


def believe(alphas: Sequence[float], values: np.ndarray) -> Beliefs:
    """From each problem's value at each alpha, [alphas, problems], by Gaussian processes of a grid of scales.

    A squared exponential kernel and an unknown mean (Rasmussen and Williams 2006, "Gaussian Processes for Machine
    Learning", 2.2, 2.7 and 5.2). The processes are averaged by their likelihoods: with few problems, the likeliest one
    alone would conclude that all alphas are alike. Raises ValueError for fewer than two problems.
    """
    if values.shape[1] < 2:
        raise ValueError("the spread over problems needs at least two of them")
    at, scale = np.asarray(alphas, dtype=np.float64), max(1.0, float(np.abs(values).max()))
    observed, noise = values.mean(axis=1), np.atleast_2d(np.cov(values)) / values.shape[1]
    noise = noise + JITTER * scale**2 * np.eye(len(at))
    kernels = [np.exp(-(((at[:, None] - at) / length) ** 2) / 2) for length in LENGTHS]
    priors = np.stack([(size * scale) ** 2 * kernel for kernel, size in product(kernels, SIZES)])
    mean, covariance = _condition(priors, noise, observed)
    return Beliefs(at, mean, covariance, values.shape[1])


def _condition(priors: np.ndarray, noise: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance given what was observed, over equally likely prior covariances, [priors, ...]."""
    lowers = np.linalg.cholesky(priors + noise)
    whiten = np.linalg.inv(lowers)
    ones, whites = whiten @ np.ones_like(observed), whiten @ observed
    middles = (ones * whites).sum(axis=1) / (ones**2).sum(axis=1)
    rests = whites - middles[:, None] * ones
    likelihoods = -(rests**2).sum(axis=1) / 2 - np.log(np.diagonal(lowers, axis1=1, axis2=2)).sum(axis=1)
    gains = whiten @ priors
    means = middles[:, None] + (gains * rests[..., None]).sum(axis=1)
    weights = np.exp(likelihoods - likelihoods.max())
    weights /= weights.sum()
    within = np.tensordot(weights, priors - np.swapaxes(gains, 1, 2) @ gains, axes=1)
    mean = weights @ means
    return mean, within + (means - mean).T @ ((means - mean) * weights[:, None])


@dataclass(frozen=True)
class Decision:
    """What is known after a round, by numbers of alphas.

    lead: the best so far; rivals: those that may exceed it by more than the tolerance, the strongest first; worse:
    those that are worse than it or miss the level; gap: the most by which another may exceed it; short: by how much it
    may miss the level that a second measure must reach.
    """

    lead: int
    rivals: tuple[int, ...]
    worse: tuple[int, ...]
    gap: float
    short: float = 0.0


@dataclass(frozen=True)
class Search:
    """first: answers per problem in the first round; batch: further ones in each later round; most: the most at an
    alpha.

    The best alpha counts as known when, at `confidence`, none exceeds it by more than `tolerance`.
    """

    first: int
    batch: int
    most: int
    tolerance: float
    confidence: float

    def decide(self, beliefs: Beliefs, needed: Beliefs | None = None, level: float = 0.0) -> Decision:
        """`needed`: beliefs of a measure that must be at least `level`."""
        count = len(beliefs.mean)
        width = float(stdtrit(beliefs.problems - 1, 1 - (1 - self.confidence) / max(1, count - 1)))
        possible, lead, short = np.full(count, True), int(np.argmax(beliefs.mean)), 0.0
        if needed:
            error = width * np.sqrt(np.maximum(np.diag(needed.covariance), 0))
            possible, reaches = needed.mean + error >= level, needed.mean >= level
            lead = int(np.argmax(np.where(reaches, beliefs.mean, -np.inf) if reaches.any() else needed.mean))
            short = max(0.0, float(level - needed.mean[lead] + error[lead]))
        ahead, error = beliefs.mean - beliefs.mean[lead], np.maximum(beliefs.errors_against(lead), 1e-12)
        errors = width * error
        others = [int(number) for number in np.argsort((self.tolerance - ahead) / error) if number != lead]
        allowed = [number for number in others if possible[number]]
        return Decision(
            lead,
            rivals=tuple(number for number in allowed if ahead[number] + errors[number] > self.tolerance),
            worse=tuple(number for number in others if ahead[number] + errors[number] < 0 or not possible[number]),
            gap=max((float(ahead[number] + errors[number]) for number in allowed), default=0.0),
            short=short,
        )

    def next_round(self, decision: Decision, answers: Sequence[int]) -> dict[int, int]:
        """How many answers per problem the lead and its strongest rival are to have, by number; empty when it is over.

        answers: how many each alpha has. An alpha that has `most` gets no more, and the next rival takes its place.
        """
        if not decision.rivals and decision.short <= self.tolerance:
            return {}
        chosen = [decision.lead] if answers[decision.lead] < self.most else []
        chosen += [number for number in decision.rivals if answers[number] < self.most][:1]
        return {number: min(self.most, answers[number] + self.batch) for number in chosen}
