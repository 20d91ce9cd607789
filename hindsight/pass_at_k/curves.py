"""Pass@k curves of runs and their paired differences, each with its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from hindsight.errors import UserError, require
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.estimators import estimate_differences, estimate_means, pass_at_ks
from hindsight.pass_at_k.extrapolation import FARTHEST, Extrapolation, extrapolate
from hindsight.pass_at_k.labels import RunLabel
from hindsight.pass_at_k.verdict_counts import VerdictCounts


@dataclass(frozen=True, eq=False)
class Curve:
    """A run's pass@k on its problems.

    values: [ks] by question id; mean, low, high: [ks], the mean over problems and its 95 % interval; texts: hashes of
    the problems' texts by question id, "" where unknown; too_few: problems left out for having fewer samples than the
    largest k. beyond: estimates from the largest k on, where they were asked for.
    """

    run: RunLabel
    ks: tuple[int, ...]
    counts: VerdictCounts
    values: dict[str, np.ndarray]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    texts: dict[str, str]
    too_few: tuple[str, ...]
    beyond: Extrapolation | None = None

    @property
    def samples(self) -> np.ndarray:
        """The number of samples of each of its problems, [problems]."""
        return self.counts.samples[self._counted]

    @property
    def correct(self) -> np.ndarray:
        """The number of correct samples of each of its problems, [problems]."""
        return self.counts.correct[self._counted]

    @property
    def _counted(self) -> list[bool]:
        return [question in self.values for question in self.counts.questions]


@dataclass(frozen=True, eq=False)
class Difference:
    """pass@k of one curve minus that of another, [ks], on the problems of both, with its 95 % interval.

    unlike: how many problems of the two have the same id but different texts, as those of two problem sets do; they are
    not compared. If no problem is left, mean, low and high are None.
    """

    one: str
    other: str
    problems: int
    unlike: int
    mean: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def make_curve(counts: VerdictCounts, run: RunLabel, ks: Sequence[int], leave_out_few: bool, source: str) -> Curve:
    """The curve of a run. Error messages call it by its `source`, a folder or a file.

    Raises UserError when a problem has fewer samples than the largest k, unless `leave_out_few` leaves them out.
    """
    enough = counts.samples >= max(ks)
    too_few = tuple(question for question, fits in zip(counts.questions, enough, strict=True) if not fits)
    if too_few and not (leave_out_few and enough.any()):
        raise UserError(
            f"{source}: pass@{max(ks)} needs {max(ks)} samples per problem, {len(too_few)} of {len(enough)} have fewer "
            f"(the least {counts.samples.min()}; the first: {', '.join(too_few[:5])}){_not_counted(counts)}; give "
            "smaller --ks, sample more, or leave them out by --leave_out_few"
        )
    rows = zip(counts.questions, counts.texts, enough, strict=True)
    texts = {question: text for question, text, fits in rows if fits}
    values = dict(zip(texts, pass_at_ks(counts.samples[enough], counts.correct[enough], ks), strict=True))
    return Curve(run, tuple(ks), counts, values, *estimate_means(values), texts, too_few)


def _not_counted(counts: VerdictCounts) -> str:
    """A part of a sentence on the answers that are no samples, if there are some."""
    not_judged = counts.of(Outcome.NOT_JUDGED).sum()
    found = [f"{not_judged} answers could not be judged"] * bool(not_judged)
    found += [f"{len(counts.broken)} files are broken, the first: {sentence}" for sentence in counts.broken[:1]]
    return "".join(f"; {each}" for each in found)


def go_beyond(curve: Curve, last: int, source: str) -> Curve:
    """The curve with estimates of pass@k from its largest k to `last`, evenly spaced in log k.

    Raises UserError, naming the `source`, when `last` is not above the largest k, or too far above the sample count.
    """
    first, most = curve.ks[-1], FARTHEST * int(curve.samples.min())
    span = f"from above the largest of --ks, {first}, to {FARTHEST} times the number of samples per problem, {most}"
    require(first < last <= most, f"{source}: --beyond goes {span}, not to {last}")
    ks = sorted({round(k) for k in np.geomspace(first, last, 16)})
    return replace(curve, beyond=extrapolate(curve.samples, curve.correct, ks))


def differences(curves: Sequence[Curve]) -> list[Difference]:
    """The paired differences of every two curves of a panel that share problem ids."""
    pairs = ((one, other) for other, one in combinations(curves, 2) if one.run.panel == other.run.panel)
    found = [difference(one, other) for one, other in pairs]
    return [each for each in found if each.problems or each.unlike]


def difference(one: Curve, other: Curve) -> Difference:
    """The paired difference of two curves. Problems are the same by id and, where both texts are known, by text."""
    shared = one.texts.keys() & other.texts.keys()
    common = [question for question in shared if len({one.texts[question], other.texts[question]} - {""}) < 2]
    unlike = len(shared) - len(common)
    if not common:
        return Difference(one.run.name, other.run.name, 0, unlike)
    ours, theirs = ({question: curve.values[question] for question in common} for curve in (one, other))
    return Difference(one.run.name, other.run.name, len(common), unlike, *estimate_differences(ours, theirs))
