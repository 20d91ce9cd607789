"""What the study tries, and how it chooses on the validation problems."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hindsight.errors import require
from hindsight.pass_at_k.estimators import pass_at_ks
from studies.smollm2.results import Setting


@dataclass(frozen=True)
class Strength:
    """The strength of a fine-tuning: its learning rate and its number of epochs, in steps of a half."""

    rate: float
    epochs: float


@dataclass(frozen=True)
class Grid:
    """The settings of `studies.smollm2.study` that list what to try. Raises UserError for a bad value."""

    trainings: tuple[str, ...]
    seeds: tuple[int, ...]
    finetuned: tuple[str, ...]
    full_rates: tuple[float, ...]
    lora_rates: tuple[float, ...]
    epochs: tuple[float, ...]
    early: tuple[float, ...]
    full_alphas: tuple[float, ...]
    common_alphas: tuple[float, ...]
    lora_alphas: tuple[float, ...]
    validation_alphas: tuple[float, ...]
    start_temperatures: tuple[float, ...]
    finetuned_temperatures: tuple[float, ...]
    shots: bool
    turns: tuple[str, ...]

    def __post_init__(self) -> None:
        known = set(self.trainings) <= {"full", "lora"} and bool(self.trainings)
        require(known, f"TRAININGS are full and lora, not {' '.join(self.trainings)}")
        require(bool(self.seeds), "SEEDS names no seed")
        enough = not self.finetuned or set(self.seeds) <= set(range(len(self.finetuned)))
        require(enough, f"SEEDS are numbers of FINETUNED's models, from 0 to {len(self.finetuned) - 1}")
        halves = all(each > 0 and float(2 * each).is_integer() for each in (*self.epochs, *self.early))
        require(bool(self.epochs) and halves, "EPOCHS and EARLY are above 0, in halves of an epoch, as 1.5")
        alphas = (*self.full_alphas, *self.common_alphas, *self.lora_alphas, *self.validation_alphas)
        require(all(0 < alpha < 1 for alpha in alphas), "alphas of merges lie between 0 and 1; the parents are 0 and 1")
        require(bool(self.start_temperatures and self.finetuned_temperatures), "give a temperature of each parent")
        require(len(self.turns) in (0, 2), "TURNS are two numbers of tokens, or none")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of training; existing fine-tuned models count as full."""
        return ("full",) if self.finetuned else self.trainings

    def strengths(self, kind: str) -> list[Strength]:
        """The strengths to choose from, the weakest first."""
        rates = self.full_rates if kind == "full" else self.lora_rates
        return [Strength(rate, epochs) for epochs in sorted(self.epochs) for rate in sorted(rates)]

    def alphas(self, kind: str, is_first: bool) -> tuple[float, ...]:
        """The alphas at which a seed's fine-tuned model is merged, those common to all seeds first."""
        if kind == "lora":
            return self.lora_alphas
        others = tuple(alpha for alpha in self.full_alphas if alpha not in self.common_alphas)
        return self.common_alphas + others if is_first else self.common_alphas


def mean_pass_at(counts: dict[str, list], k: int) -> float:
    """pass@k by base and plus tests, the mean over problems."""
    samples, correct = (np.array(counts[key], float) for key in ("samples", "correct"))
    return float(pass_at_ks(samples, correct, [min(k, int(samples.min()))]).mean())


def best(tried: Iterable[tuple[Setting, dict[str, list]]], k: int) -> Setting:
    """The setting with the highest pass@k; the first one if several are equal."""
    return max(((mean_pass_at(counts, k), setting) for setting, counts in tried), key=lambda each: each[0])[1]


def at_temperature(settings: Iterable[Setting], temperature: float) -> Setting:
    """The setting at this temperature if there is one, else the first."""
    found = list(settings)
    return next((each for each in found if each.temperature == temperature), found[0])
