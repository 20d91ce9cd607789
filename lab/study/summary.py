"""The study's results for its report: the merges by alpha, the parents' sweeps, the best of each, and differences."""

from collections.abc import Sequence

import numpy as np

from hindsight.errors import require
from hindsight.pass_at_k.estimators import Estimate
from lab.study.results import Results, setting_of
from lab.study.settings_grid import TEMPERATURE

KS = (1, 10)
NAMES_OF_GROUPS = {"": "all", "finetuned": "fine-tuned on", "base_only": "only the base saw", "unseen": "nobody saw"}


class Summary:
    """Names of settings by their kind, and their pass@k. Each kind has only the settings with the most seeds.

    by_alpha: method to alpha to name, for all models asked in chat at TEMPERATURE, both parents included; merged: the
    names of LERP's merges; base: the base model in its own prompt, base_chat: in chat, instruct: each at several
    temperatures; switching; early: fine-tunings that were stopped early.
    """

    def __init__(self, results: Results):
        self.results = results
        settings = [setting_of(name) for name in results.names]
        self.base = self.most([each.name for each in settings if each.kind == "base"])
        self.base_chat = self.most([each.name for each in settings if each.kind == "chat" and each.alpha == 0])
        self.instruct = self.most([each.name for each in settings if each.alpha == 1])
        self.switching = self.most([each.name for each in settings if each.kind == "switching"])
        self.early = self.most([each.name for each in settings if each.steps])
        self.by_alpha: dict[str, dict[float, str]] = {}
        for method in ("lerp", "slerp"):
            full = self.most(list(self.alphas_of(method).values()))
            names = {alpha: name for alpha, name in self.alphas_of(method).items() if name in full}
            if set(names) - {0, 1}:
                self.by_alpha[method] = names
        require("lerp" in self.by_alpha, "the results have no merge by LERP, which the report needs")
        self.merged = [name for alpha, name in self.by_alpha["lerp"].items() if alpha not in (0, 1)]

    def most(self, names: list[str]) -> list[str]:
        """The names that have the most seeds."""
        counts = {name: len(self.results.seeds_of(name)) for name in names}
        return [name for name in names if counts[name] == max(counts.values())]

    def alphas_of(self, method: str, seed: int | None = None) -> dict[float, str]:
        """Names by alpha of the models asked in chat at TEMPERATURE, both parents included; of one seed, or of any."""
        settings = [setting_of(name) for name in self.results.names]
        settings = [each for each in settings if each.kind == "chat" and each.temperature == TEMPERATURE]
        found = {each.alpha: each.name for each in settings if each.alpha in (0, 1) or each.method == method}
        return {
            alpha: found[alpha]
            for alpha in sorted(alpha for alpha in found if alpha is not None)
            if seed is None or seed in self.results.seeds_of(found[alpha])
        }

    def pass_at(self, name: str, k: int, group: str = "") -> Estimate:
        return self.results.mean(self.results.pass_at(name, k), group)

    def asked_again(self, name: str, k: int) -> Estimate:
        """pass@k of the answers with a program, as if the model had been asked again until it wrote one."""
        return self.results.mean(self.results.pass_at(name, k, of="programs"))

    def best(self, names: Sequence[str], k: int, group: str = "") -> str:
        """The name with the highest pass@k on these same problems, the comparison that favours a parent most."""
        return max(names, key=lambda name: self.pass_at(name, k, group).mean)

    def best_base(self, k: int, group: str = "") -> str:
        """The base model with its best prompt and temperature."""
        return self.best(self.base + self.base_chat, k, group)

    def best_instruct(self, k: int, group: str = "") -> str:
        """The instruct model at its best temperature."""
        return self.best(self.instruct, k, group)

    def difference(self, one: str, other: str, k: int, group: str = "") -> Estimate:
        """The paired difference of two settings, over problems and the seeds that both have."""
        return self.results.mean(self._differences(one, other, k), group)

    def by_seed(self, one: str, other: str, k: int) -> list[float]:
        """The same difference per seed."""
        return list(self._differences(one, other, k).mean(axis=1))

    def _differences(self, one: str, other: str, k: int) -> np.ndarray:
        seeds = self.results.seeds_of(one, other)
        return self.results.pass_at(one, k, seeds=seeds) - self.results.pass_at(other, k, seeds=seeds)
