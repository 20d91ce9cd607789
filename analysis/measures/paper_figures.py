"""The paper's published shares of correct answers and of answers without code, and the same shares of runs.

The published shares are those of the paper's repository by alpha (0: the base model, 1: the fine-tuned one): answers
that its checker calls correct, and answers in which it finds no code.
"""

from collections.abc import Iterable

from analysis.measures.correctness import samples_by_problem
from analysis.reading.answers import Answer
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.estimators import Estimate, estimate_mean

CORRECT, WITHOUT_CODE = "correct", "without code"
PUBLISHED = {
    CORRECT: {0.0: 0.105, 0.5: 0.163, 0.7: 0.250, 1.0: 0.327},
    WITHOUT_CODE: {0.0: 0.556, 0.5: 0.300, 0.7: 0.166, 1.0: 0.105},
}
OUTCOMES = {CORRECT: {Outcome.CORRECT}, WITHOUT_CODE: {Outcome.NO_CODE, Outcome.NOT_CONVERTED}}


def shares_by_alpha(runs: dict[float, list[Answer]]) -> dict[str, dict[float, Estimate]]:
    """The shares in PUBLISHED for runs by alpha: means over problems, with intervals."""
    return {
        name: {alpha: share_of(answers, outcomes) for alpha, answers in runs.items()}
        for name, outcomes in OUTCOMES.items()
    }


def share_of(answers: Iterable[Answer], outcomes: set[Outcome]) -> Estimate:
    """The share of samples with one of the outcomes: the mean over problems."""
    problems = samples_by_problem(answers)
    return estimate_mean(
        {question: sum(each.outcome in outcomes for each in group) / len(group) for question, group in problems.items()}
    )
