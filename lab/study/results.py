"""The study's results: counts per problem of every setting and training seed, in one file, and statistics on them.

Intervals are 95 %, by bootstrap over families of problems: problems of one family differ only in a number, so they are
resampled together. The values of several training seeds are averaged per problem first: the intervals are about other
problems with these seeds, and the report lists each seed's value beside them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import UserError, require
from hindsight.files import records
from hindsight.pass_at_k.estimators import Estimate, bootstrap_ratio_interval, draws, pass_at_ks
from lab.study.measure import MEASURED
from lab.study.settings_grid import Setting, list_settings

COUNTED = ("samples", "correct", "programs", "in_format", "distinct", "nats", "tokens")
SHARES = {  # measures that are a ratio of two counts, each over all problems
    "programs": ("programs", "samples"),
    "in_format": ("in_format", "samples"),
    "distinct": ("distinct", "programs"),
    "entropy": ("nats", "tokens"),
}
RESULTS = "results.json"


@dataclass(frozen=True)
class Results:
    """All counts. `values` has an array, [problems], for each (setting's name, seed, one of COUNTED).

    `seeds` are those of any setting; a setting may have only some of them.
    """

    problems: list[dict[str, Any]]  # question_id, group, difficulty, family
    seeds: tuple[int, ...]
    names: tuple[str, ...]
    values: dict[tuple[str, int, str], np.ndarray]

    def mask(self, group: str = "") -> np.ndarray:
        """Whether each problem is in the group, [problems]; an empty group has all."""
        return np.array([group in ("", problem["group"]) for problem in self.problems])

    def seeds_of(self, *names: str) -> tuple[int, ...]:
        """The seeds that all of these settings have."""
        return tuple(seed for seed in self.seeds if all((name, seed, "correct") in self.values for name in names))

    def pass_at(self, name: str, k: int, of: str = "samples", seeds: Sequence[int] | None = None) -> np.ndarray:
        """pass@k per seed and problem, [seeds, problems]; NaN for a problem with fewer than k.

        `of` is "samples", or "programs": only answers with a program, as if the model had been asked again instead.
        """
        found = []
        for seed in self.seeds_of(name) if seeds is None else seeds:
            samples, correct = self.values[name, seed, of], self.values[name, seed, "correct"]
            enough = samples >= k
            row = np.full(len(samples), np.nan)
            row[enough] = pass_at_ks(samples[enough], correct[enough], [k])[:, 0]
            found.append(row)
        return np.array(found)

    def has(self, name: str, share: str) -> bool:
        """Whether a setting has one of SHARES: switching has no entropy."""
        return all((name, seed, what) in self.values for seed in self.seeds_of(name) for what in SHARES[share])

    def share(self, name: str, share: str, group: str = "") -> Estimate:
        """One of SHARES, over the seeds and the problems of a group."""
        sums, counts = (
            np.sum([self.values[name, seed, what] for seed in self.seeds_of(name)], axis=0) for what in SHARES[share]
        )
        return self.estimate(sums, counts, self.mask(group))

    def mean(self, values: np.ndarray, group: str = "") -> Estimate:
        """The mean of values, [seeds, problems], over seeds and a group's problems; problems with NaN are left out."""
        column = values.mean(axis=0)
        known = ~np.isnan(column)
        return self.estimate(np.where(known, column, 0), known.astype(float), self.mask(group) & known)

    def estimate(self, sums: np.ndarray, counts: np.ndarray, mask: np.ndarray) -> Estimate:
        """sums / counts over the problems of the mask, with its interval over families."""
        sums, counts = self._by_family(sums, mask), self._by_family(counts, mask)
        low, high = bootstrap_ratio_interval(sums, counts)
        return Estimate(float(sums.sum() / counts.sum()), float(low), float(high), int(mask.sum()))

    def best_alpha(self, by_alpha: dict[float, np.ndarray]) -> tuple[float, float, float]:
        """The alpha with the largest mean of [problems], and its 5 % and 95 % quantiles over resamples."""
        alphas, everything = sorted(by_alpha), np.ones(len(self.problems), bool)
        table = np.stack([self._by_family(by_alpha[alpha], everything) for alpha in alphas], axis=1)
        resampled = draws(len(table)) @ table
        chosen = np.array(alphas)[resampled.argmax(axis=1)]
        low, high = np.quantile(chosen, [0.05, 0.95], method="nearest")
        return alphas[int(table.sum(axis=0).argmax())], float(low), float(high)

    def _by_family(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The sums of [problems] over each family with a problem in the mask, [families], in order of question ids."""
        kept = [problem for problem, wanted in zip(self.problems, mask, strict=True) if wanted]
        by_id = sorted(kept, key=lambda problem: problem["question_id"])
        order = {family: place for place, family in enumerate(dict.fromkeys(problem["family"] for problem in by_id))}
        sums = np.zeros(len(order))
        np.add.at(sums, [order[problem["family"]] for problem in kept], np.asarray(values, float)[mask])
        return sums


def collect(output: Path, seeds: Sequence[int]) -> Path:
    """Gathers the MEASURED files of all settings and seeds into RESULTS and returns its path.

    Raises UserError when there is none, or when two differ in their problems.
    """
    problems: list[dict[str, Any]] = []
    runs: dict[str, dict[str, Any]] = {}
    for setting in list_settings(everything=True):
        for seed in seeds:
            folder = output / f"seed_{seed}" / setting.name
            if not (folder / MEASURED).exists():
                continue
            rows = sorted(records.read_record(folder / MEASURED)["problems"], key=lambda row: row["question_id"])
            own = [{key: row[key] for key in ("question_id", "group", "difficulty", "family")} for row in rows]
            problems = problems or own
            if own != problems:
                raise UserError(f"{folder} is of other problems than {output}'s other runs; delete it")
            counts = {what: [row.get(what) for row in rows] for what in COUNTED}  # switching has no entropy: None
            counts["nats"] = [nats and round(nats, 2) for nats in counts["nats"]]
            runs.setdefault(setting.name, {})[str(seed)] = counts
    if not runs:
        raise UserError(f"{output} has no setting of seeds {list(seeds)}")
    path = output / RESULTS
    write_results(path, {"problems": problems, "seeds": list(seeds), "runs": runs})
    return path


def write_results(path: Path, content: dict[str, Any]) -> None:
    """Writes RESULTS with one line per problem and one per kind of count of a run."""
    lines = ['{"problems": [', ",\n".join(map(json.dumps, content["problems"])), "],"]
    lines += [f'"seeds": {json.dumps(content["seeds"])},', '"runs": {']
    runs = []
    for name, by_seed in content["runs"].items():
        counts = (f"{json.dumps(seed)}: {json.dumps(found, separators=(',', ':'))}" for seed, found in by_seed.items())
        runs.append(f"{json.dumps(name)}: {{\n" + ",\n".join(counts) + "}")
    path.write_text("\n".join([*lines, ",\n".join(runs), "}}"]) + "\n", encoding="utf-8")


def read_results(path: Path) -> Results:
    """Reads RESULTS. Raises UserError when the file is missing or is another kind of file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seeds = tuple(content["seeds"])
        values = {
            (name, seed, what): np.array(counts, float)
            for name, by_seed in content["runs"].items()
            for seed in seeds
            for what, counts in by_seed.get(str(seed), {}).items()
            if counts[0] is not None
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no results of the study ({error!r})") from None
    return Results(content["problems"], seeds, tuple(content["runs"]), values)


def setting_of(name: str) -> Setting:
    """The setting with a name. Raises UserError when there is none."""
    found = [setting for setting in list_settings(everything=True) if setting.name == name]
    require(bool(found), f"{name!r} is not a setting of the study")
    return found[0]
