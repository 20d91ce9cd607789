"""The study's results as its report asks for them: the merges by alpha, the parents' sweeps, the best of each."""

from collections.abc import Sequence

from hindsight.estimator import Estimate
from lab.results import Results, setting_of
from lab.study import TEMPERATURE

KS = (1, 10)
NAMES_OF_GROUPS = {"": "all", "finetuned": "fine-tuned on", "base_only": "only the base saw", "unseen": "nobody saw"}


class View:
    """Names of settings by what they are, and pass@k of them.

    by_alpha: method to alpha to name, of all that are asked in chat at TEMPERATURE, both parents included; merged: the
    names of LERP's merges; base: the base model in its own prompt, base_chat: in chat, instruct: each at several
    temperatures; switching; early: fine-tunings that were stopped early.
    """

    def __init__(self, results: Results):
        self.results = results
        settings = [setting_of(name) for name in results.names]
        self.base = [each.name for each in settings if each.kind == "base"]
        self.base_chat = [each.name for each in settings if each.kind == "chat" and each.alpha == 0]
        self.instruct = [each.name for each in settings if each.alpha == 1]
        self.switching = [each.name for each in settings if each.kind == "switching"]
        self.early = [each.name for each in settings if each.steps]
        in_chat = [each for each in settings if each.kind == "chat" and each.temperature == TEMPERATURE]
        in_chat = sorted((each for each in in_chat if each.alpha is not None), key=lambda each: each.alpha)
        self.by_alpha: dict[str, dict[float, str]] = {}
        for method in ("lerp", "slerp"):
            names = {each.alpha: each.name for each in in_chat if each.alpha in (0, 1) or each.method == method}
            if set(names) - {0, 1}:
                self.by_alpha[method] = names
        self.merged = [name for alpha, name in self.by_alpha["lerp"].items() if alpha not in (0, 1)]

    def pass_at(self, name: str, k: int, group: str = "") -> Estimate:
        return self.results.mean(self.results.pass_at(name, k), group)

    def asked_again(self, name: str, k: int) -> Estimate:
        """pass@k of the answers that hold a program, as if all others had been asked for again."""
        return self.results.mean(self.results.pass_at(name, k, of="programs"))

    def best(self, names: Sequence[str], k: int, group: str = "") -> str:
        """The name whose pass@k is largest on these very problems: for a parent, its most favourable reading."""
        return max(names, key=lambda name: self.pass_at(name, k, group).mean)

    def best_base(self, k: int, group: str = "") -> str:
        """The base model in the prompt and at the temperature that suit it best."""
        return self.best(self.base + self.base_chat, k, group)

    def best_instruct(self, k: int, group: str = "") -> str:
        """The instruct model at the temperature that suits it best."""
        return self.best(self.instruct, k, group)

    def difference(self, one: str, other: str, k: int, group: str = "") -> Estimate:
        """The paired difference of two settings, over seeds and problems."""
        return self.results.mean(self.results.pass_at(one, k) - self.results.pass_at(other, k), group)

    def by_seed(self, one: str, other: str, k: int) -> list[float]:
        """The same for each seed alone."""
        return list((self.results.pass_at(one, k) - self.results.pass_at(other, k)).mean(axis=1))
