"""How many answers of each problem have which outcome."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.estimators import in_order

OUTCOMES = tuple(Outcome)  # the columns of VerdictCounts.outcomes


@dataclass
class ProblemCounts:
    """A problem's answers: how many files, how many cut off by length, how many of each outcome, and the hashes of the
    problem's text: several if answers to several problems share an id."""

    files: int = 0
    cut_off: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    texts: set[str] = field(default_factory=set)

    def add(self, other: "ProblemCounts") -> None:
        """Adds the counts of other files of the same problem."""
        self.files += other.files
        self.cut_off += other.cut_off
        self.outcomes.update(other.outcomes)
        self.texts |= other.texts


@dataclass(frozen=True)
class VerdictCounts:
    """A run's answers, problem by problem.

    questions: [p] ids as text; outcomes: [p, outcomes], the number of answers with each of OUTCOMES; cut_off: [p], the
    number of answers that were cut off by length; texts: [p] hashes of the problems' texts, "" where unknown.
    left_out: one sentence on what the mask leaves out, or "". broken: one sentence per file that could not be read.
    no_answer: how many of the answers that were not converted hold no answer.
    """

    questions: tuple[str, ...]
    outcomes: np.ndarray
    cut_off: np.ndarray
    texts: tuple[str, ...]
    left_out: str = ""
    broken: tuple[str, ...] = ()
    no_answer: int = 0

    def of(self, outcome: Outcome) -> np.ndarray:
        """The number of answers with an outcome, [p]."""
        return self.outcomes[:, OUTCOMES.index(outcome)]

    @property
    def samples(self) -> np.ndarray:
        """The number of answers that pass@k counts, as correct or as wrong, [p]."""
        return self.outcomes[:, [outcome.is_sample for outcome in OUTCOMES]].sum(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """The number of correct answers, [p]."""
        return self.of(Outcome.CORRECT)


def tabulate(
    problems: Mapping[int, ProblemCounts] | Mapping[str, ProblemCounts],
    left_out: str = "",
    broken: tuple[str, ...] = (),
) -> VerdictCounts:
    """The counts of a run from those of its problems by question id, at least one."""
    questions = in_order(problems)  # type: ignore[type-var]  # ids of one run are all numbers or all texts
    counts = [problems[question] for question in questions]  # type: ignore[index]
    return VerdictCounts(
        questions=tuple(map(str, questions)),
        outcomes=np.array([[each.outcomes[outcome] for outcome in OUTCOMES] for each in counts]),
        cut_off=np.array([each.cut_off for each in counts]),
        texts=tuple("".join(sorted(each.texts)) for each in counts),
        left_out=left_out,
        broken=broken,
    )
