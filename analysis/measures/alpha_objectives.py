"""The objective of the choice: one value per problem, whose mean over problems is the measure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.measures.program_diversity import normalise
from analysis.reading.answers import Answer, by_problem
from hindsight.errors import require
from hindsight.pass_at_k.beta_binomial import fit_beta_binomial
from hindsight.pass_at_k.estimators import in_order, pass_at_ks
from hindsight.pass_at_k.mixing_distributions import AnswerCounts

NAMES = ("pass@k", "programs", "pass@1")


@dataclass(frozen=True)
class Objective:
    """name: one of NAMES.

    "pass@k": pass@k. "programs": how many different correct programs k answers to a problem contain. "pass@1": pass@1,
    provided that pass@k is at least `level`.
    """

    name: str
    k: int
    level: float = 0.0

    def __post_init__(self) -> None:
        require(self.name in NAMES, f"OBJECTIVE is one of {', '.join(NAMES)}, not {self.name!r}")
        require(self.k >= 1, f"K is at least 1, not {self.k}")
        require(0 <= self.level <= 1, f"LEVEL is a pass@k, from 0 to 1, not {self.level}")

    def __str__(self) -> str:
        if self.name == "programs":
            return f"different correct programs in {self.k} answers"
        return f"pass@{self.k}" if self.name == "pass@k" else f"pass@1 with pass@{self.k} of at least {self.level:g}"

    def values(self, problems: Sequence[Sequence[Answer]]) -> np.ndarray:
        """The value of each problem, [problems], from its judged answers."""
        if self.name == "programs":
            return np.array([different_programs(answers, self.k) for answers in problems])
        return pass_at_k_values(*_count(problems), self.k if self.name == "pass@k" else 1)

    def needed(self, problems: Sequence[Sequence[Answer]]) -> np.ndarray | None:
        """pass@k of each problem, [problems], if it must reach a level."""
        return pass_at_k_values(*_count(problems), self.k) if self.name == "pass@1" else None


def _count(problems: Sequence[Sequence[Answer]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(map(len, problems))), np.array([sum(a.is_correct for a in answers) for answers in problems])


def pass_at_k_values(samples: np.ndarray, correct: np.ndarray, k: int) -> np.ndarray:
    """pass@k of each problem, [problems]: unbiased if all have k answers, else from the beta-binomial model.

    samples, correct: [problems].
    """
    if samples.min() >= k:
        return pass_at_ks(samples, correct, [k])[:, 0]
    return fit_beta_binomial(AnswerCounts.of(samples, correct)).values(k)


def different_programs(answers: Sequence[Answer], k: int) -> float:
    """The expected number of different correct programs among k answers like these, up to names and layout.

    Rarefied for up to as many answers as there are, else extrapolated, both as in Chao et al. 2014, "Rarefaction and
    extrapolation with Hill numbers" (order 0, incidence data: an answer holds one correct program or none).
    """
    n = len(answers)
    seen = Counter(normalise(answer.code) for answer in answers if answer.is_correct and answer.code is not None)
    if k <= n:
        return float(pass_at_ks(np.full(len(seen), n), np.array(list(seen.values()), dtype=int), [k]).sum())
    once, twice = (sum(count == times for count in seen.values()) for times in (1, 2))
    unseen = (n - 1) / n * (once**2 / (2 * twice) if twice else once * (once - 1) / 2)
    if not unseen:
        return float(len(seen))
    return len(seen) + unseen * (1 - (1 - once / (n * unseen + once)) ** (k - n))


def judged_problems(answers: Sequence[Answer]) -> dict[int, list[Answer]]:
    """The answers that count as correct or wrong, by problem, in the order of every estimate."""
    found = by_problem(answer for answer in answers if answer.outcome.is_sample)
    return {question: found[question] for question in in_order(found)}
