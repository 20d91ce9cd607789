"""Statistics of the study's results, for its tables and figures.

Each value is averaged per problem over the training seeds first. Intervals are 95 %, by bootstrap over problems: they
are about other problems with these seeds, so the tables list each seed's value beside them. The start model has no
training seed: it is compared with every seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hindsight.pass_at_k.estimators import (
    Estimate,
    bootstrap_ratio_interval,
    draws,
    in_order,
    pass_at_ks,
    percentile_interval,
)
from studies.smollm2.results import TRAININGS, Results, Run, Setting

TRIES = 10  # k of the larger pass@k, unless the runs have fewer samples
Columns = tuple[np.ndarray, np.ndarray]  # [problems] each, whose sums are divided; NaN where unknown


@dataclass(frozen=True)
class Measure:
    """What is measured of a run: sums and counts, [problems] each; the measure is the ratio of their totals."""

    title: str
    columns: Callable[[Run], Columns]


def counts_of(run: Run, name: str) -> np.ndarray:
    """One of a run's counts, [problems]; NaN where it was not measured."""
    missing = (None,) * len(run.counts["samples"])
    return np.array(run.counts.get(name, missing), dtype=np.float64)


def pass_at(k: int, correct: str = "correct") -> Measure:
    """pass@k by base and plus tests, or with `base_correct` by the base tests alone."""

    def columns(run: Run) -> Columns:
        samples, right = counts_of(run, "samples"), counts_of(run, correct)
        known = (samples >= k) & ~np.isnan(right)
        values = np.full(len(samples), np.nan)
        if known.any():
            values[known] = pass_at_ks(samples[known], right[known], [k])[:, 0]
        return values, np.ones_like(values)

    return Measure(f"pass@{k}" + (", base tests" if correct == "base_correct" else ""), columns)


def ratio(title: str, above: str, below: str) -> Measure:
    """One count by another, over all problems."""
    return Measure(title, lambda run: (counts_of(run, above), counts_of(run, below)))


def mean_of(title: str, count: str) -> Measure:
    """The mean of a count over problems."""
    return Measure(title, lambda run: (values := counts_of(run, count), np.ones_like(values)))


PROGRAMS = ratio("answers with a program", "programs", "samples")
DISTINCT = ratio("distinct programs", "distinct", "programs")
VENDI = mean_of("Vendi", "vendi")
ENTROPY = ratio("entropy", "nats", "entropy_tokens")
ENDED = ratio("ended by the model", "ended", "samples")
LENGTH = ratio("tokens", "tokens", "samples")
SHARES = (DISTINCT, VENDI, ENTROPY, ENDED)


@dataclass(frozen=True)
class AlphaCurve:
    """The merges of a training with both parents as ends: names by alpha, and the seeds that all of them have."""

    training: str
    names: dict[float, str]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class BestAlpha:
    """The alpha with the highest mean; the 5 % and 95 % quantiles of the best alpha over resamples of problems, and the
    share of resamples in which this one is the best."""

    alpha: float
    low: float
    high: float
    share: float


class Summary:
    """The runs of one split, as settings by name."""

    def __init__(self, results: Results, split: str = "test"):
        self.results, self.split = results, split
        ids = results.problems.get(split, ())
        self.order = [ids.index(each) for each in in_order(ids)]
        self.runs = {(run.setting.name, run.seed): run for run in results.runs if run.split == split}
        self.settings: dict[str, Setting] = {name: run.setting for (name, _), run in self.runs.items()}
        most = max((int(counts_of(run, "samples").max()) for run in self.runs.values()), default=TRIES)
        self.ks = (1, min(TRIES, most)) if most > 1 else (1,)
        self.rates = [pass_at(k) for k in self.ks]
        self.base_rates = [pass_at(k, "base_correct") for k in self.ks]

    def names(self, kind: str, training: str | None = None) -> list[str]:
        """The settings of a kind and, where given, a training."""
        found = self.settings.values()
        return [each.name for each in found if each.kind == kind and training in (None, each.training)]

    @property
    def trainings(self) -> list[str]:
        """The trainings that have a run."""
        return [each for each in TRAININGS if any(setting.training == each for setting in self.settings.values())]

    def seeds_of(self, *names: str) -> tuple[int, ...]:
        """The training seeds that all of these settings have; those of the start model do not count."""
        trained = [name for name in names if self.settings[name].kind != "start"]
        seeds = [{seed for name, seed in self.runs if name == each and seed is not None} for each in trained]
        return tuple(sorted(set.intersection(*seeds))) if seeds else ()

    def estimate(self, name: str, measure: Measure, seeds: Sequence[int] | None = None) -> Estimate | None:
        """A measure with its interval, over its seeds or the given ones; None where it was not measured."""
        sums, counts = self._columns(name, measure, seeds)
        known = ~np.isnan(sums) & (counts > 0)
        if not known.any():
            return None
        sums, counts = sums[known], counts[known]
        low, high = bootstrap_ratio_interval(sums, counts)
        return Estimate(float(sums.sum() / counts.sum()), float(low), float(high), int(known.sum()))

    def difference(self, one: str, other: str, measure: Measure, seeds: Sequence[int] | None = None) -> Estimate | None:
        """The paired difference of two settings, over problems and the seeds of both; None where they share none."""
        shared = self.seeds_of(one, other) if seeds is None else seeds
        (sums, counts), (others, other_counts) = (self._columns(name, measure, shared) for name in (one, other))
        known = ~np.isnan(sums) & ~np.isnan(others) & (counts > 0) & (other_counts > 0)
        if not known.any():
            return None
        problems = int(known.sum())
        weights = np.vstack([np.ones(problems), draws(problems)])  # the first row: each problem once
        found = weights @ sums[known] / (weights @ counts[known])
        found = found - weights @ others[known] / (weights @ other_counts[known])
        low, high = percentile_interval(found[1:], problems)
        return Estimate(float(found[0]), float(low), float(high), problems)

    def by_seed(self, name: str, measure: Measure) -> list[float | None]:
        """A measure for each of the seeds of a setting."""
        found = [self.estimate(name, measure, [seed]) for seed in self.seeds_of(name)]
        return [each and each.mean for each in found]

    def differences_by_seed(self, one: str, other: str, measure: Measure) -> list[float | None]:
        """The difference of two settings for each seed of both."""
        found = [self.difference(one, other, measure, [seed]) for seed in self.seeds_of(one, other)]
        return [each and each.mean for each in found]

    def curve(self, training: str) -> AlphaCurve | None:
        """The merges by alpha with both parents at the merges' temperature; None where there is no merge.

        If not every alpha has every seed, these are the seeds and alphas with the most runs, so that every point is the
        mean over the same seeds.
        """
        names = self.by_alpha(training)
        if not set(names) - {0, 1}:
            return None
        seeds = sorted({seed for name in names.values() for seed in self.seeds_of(name)})
        choices = []
        for count in range(1, len(seeds) + 1):
            for some in combinations(seeds, count):
                full = {alpha: name for alpha, name in names.items() if self.has(name, some)}
                choices.append(AlphaCurve(training, full, some))
        return max(choices, key=lambda each: (len(each.names) * len(each.seeds), len(each.seeds)))

    def temperature(self, training: str) -> float | None:
        """The temperature of a training's merges; None if it has no merge."""
        merges = (each for each in self.settings.values() if each.kind == "merge" and each.training == training)
        return next((each.temperature for each in merges), None)

    def by_alpha(self, training: str) -> dict[float, str]:
        """All merges of a training, and both parents in chat at the merges' temperature."""
        found, temperature = {}, self.temperature(training)
        for each in self.settings.values():
            ends = {"start": 0.0, "finetuned": 1.0}
            alpha = each.alpha if each.kind == "merge" else ends.get(each.kind)
            asked = each.prompt == "chat" and temperature in (None, each.temperature)
            if alpha is not None and asked and each.training in ("", training):
                found.setdefault(round(alpha, 6), each.name)
        return dict(sorted(found.items()))

    def best_alpha(self, curve: AlphaCurve, measure: Measure, seeds: Sequence[int] | None = None) -> BestAlpha | None:
        """The best alpha of a curve for one pass@k, over its seeds or the given ones."""
        columns = [
            self._columns(name, measure, curve.seeds if seeds is None else seeds) for name in curve.names.values()
        ]
        table = np.stack([sums / counts for sums, counts in columns], axis=1)
        table = table[~np.isnan(table).any(axis=1)]
        if not len(table):
            return None
        alphas = np.array(list(curve.names))
        place = int(table.mean(axis=0).argmax())
        chosen = (draws(len(table)) @ table).argmax(axis=1)
        low, high = np.quantile(alphas[chosen], [0.05, 0.95], method="nearest")
        return BestAlpha(float(alphas[place]), float(low), float(high), float((chosen == place).mean()))

    def best(self, names: Sequence[str], measure: Measure) -> str | None:
        """The setting with the highest value."""
        found = {name: estimate.mean for name in names if (estimate := self.estimate(name, measure))}
        return max(found, key=found.__getitem__, default=None)

    def has(self, name: str, seeds: Sequence[int]) -> bool:
        """Whether a setting has all of these seeds; the start model has each."""
        return self.settings[name].kind == "start" or set(seeds) <= set(self.seeds_of(name))

    def _columns(self, name: str, measure: Measure, seeds: Sequence[int] | None) -> Columns:
        """A measure's sums and counts over the seeds, [problems] each in the order of ids."""
        wanted = self.seeds_of(name) if seeds is None else seeds
        always = self.settings[name].kind == "start"
        runs = [run for (each, seed), run in self.runs.items() if each == name and (always or seed in wanted)]
        if not runs:
            return np.full(len(self.order), np.nan), np.zeros(len(self.order))
        sums, counts = np.sum([measure.columns(run) for run in runs], axis=0)
        return sums[self.order], counts[self.order]
