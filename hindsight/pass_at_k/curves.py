"""Pass@k curves of runs: values with their intervals and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hindsight.errors import UserError
from hindsight.pass_at_k.estimators import bootstrap_interval, pass_at_ks
from hindsight.pass_at_k.verdict_counts import VerdictCounts


@dataclass(frozen=True)
class Curve:
    """A run's pass@k on its problems.

    questions: [problems] ids; texts: [problems] hashes of their texts, "" where not known; values: [problems, ks];
    mean, low, high: [ks], the mean over problems and its 95 % interval. alpha: of a merged model, else None. too_few:
    problems left out for having fewer samples than the largest k.
    """

    label: str
    panel: str
    alpha: float | None
    ks: tuple[int, ...]
    counts: VerdictCounts
    questions: tuple[str, ...]
    texts: tuple[str, ...]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    too_few: tuple[str, ...]

    @property
    def name(self) -> str:
        """The label, with the panel where there are several."""
        return f"{self.label} ({self.panel})" if self.panel else self.label

    @property
    def mean(self) -> np.ndarray:
        return self.values.mean(axis=0)


def make_curve(
    counts: VerdictCounts, name: str, label: str, panel: str, alpha: float | None, ks: Sequence[int], leave_out: bool
) -> Curve:
    """The curve of a run. `name` is what an error calls it.

    Raises UserError when a problem has fewer samples than the largest k, unless `leave_out` leaves such problems out.
    """
    enough = counts.of("samples") >= max(ks)
    few = tuple(question for question, fits in zip(counts.questions, enough, strict=True) if not fits)
    if few and not (leave_out and enough.any()):
        least = counts.of("samples").min()
        raise UserError(
            f"{name}: pass@{max(ks)} needs {max(ks)} samples a problem, {len(few)} of {len(enough)} have fewer "
            f"(the least {least}; the first: {', '.join(few[:5])}); give smaller --ks, sample more, or leave them "
            "out by --leave_out_few"
        )
    questions, texts = (
        tuple(one for one, fits in zip(each, enough, strict=True) if fits) for each in (counts.questions, counts.texts)
    )
    values = pass_at_ks(counts.of("samples")[enough], counts.of("correct")[enough], ks)
    return Curve(label, panel, alpha, tuple(ks), counts, questions, texts, values, *bootstrap_interval(values), few)


@dataclass(frozen=True)
class Difference:
    """pass@k of one curve minus that of another, [ks], on the problems of both, with its 95 % interval.

    unlike: how many problems of the two have the same id and another text, as ids of two problem sets do; they are not
    compared. Where that leaves no problem, mean, low and high are None.
    """

    one: str
    other: str
    problems: int
    unlike: int
    mean: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def differences(curves: Sequence[Curve]) -> list[Difference]:
    """The paired differences of every two curves of a panel that have problem ids in common."""
    pairs = ((one, other) for other, one in combinations(curves, 2) if one.panel == other.panel)
    found = [difference(one, other) for one, other in pairs]
    return [each for each in found if each.problems or each.unlike]


def difference(one: Curve, other: Curve) -> Difference:
    """The paired difference of two curves. Problems are the same by id and, where both texts are known, by text."""
    ours, theirs = (dict(zip(curve.questions, curve.texts, strict=True)) for curve in (one, other))
    shared = sorted(ours.keys() & theirs.keys())
    common = [question for question in shared if len({ours[question], theirs[question]} - {""}) < 2]
    unlike = len(shared) - len(common)
    if not common:
        return Difference(one.name, other.name, 0, unlike)
    rows = [dict(zip(curve.questions, curve.values, strict=True)) for curve in (one, other)]
    values = np.array([rows[0][question] - rows[1][question] for question in common])
    interval = bootstrap_interval(values)
    return Difference(one.name, other.name, len(common), unlike, values.mean(axis=0), *interval)
