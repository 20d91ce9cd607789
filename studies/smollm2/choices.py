"""The choices made on validation, which are compared on the test problems, and the missing parts of the results."""

from collections.abc import Iterator
from dataclasses import dataclass

from studies.smollm2.results import TRAININGS, Results
from studies.smollm2.summary import SHARES, Measure, Summary, counts_of

TENTHS = tuple(number / 10 for number in range(1, 10))
KINDS = {"early": "early checkpoint", "switching": "switching run"}


@dataclass(frozen=True)
class Parent:
    """A parent at its best prompt and temperature, and how this was chosen."""

    name: str
    how: str


class Study:
    """The runs of the test and of validation, and the parents with which merges are compared."""

    def __init__(self, results: Results):
        self.results = results
        self.test, self.validation = Summary(results, "test"), Summary(results, "validation")
        self.start = self._parent("start", "")
        self.finetuned = {each: parent for each in TRAININGS if (parent := self._parent("finetuned", each))}

    def _parent(self, kind: str, training: str) -> Parent | None:
        """A parent by the choice that the results record under `start` or the training; else its best setting on
        validation; else its best on the test problems."""
        names = self.test.names(kind, training)
        chosen = self.results.chosen.get("settings", {}).get(training or kind)
        if chosen in names:
            return Parent(chosen, "chosen on validation")
        tries = self.validation.rates[-1]
        validated = [name for name in names if name in self.validation.settings]
        if name := self.validation.best(validated, tries):
            return Parent(name, f"highest {tries.title} on validation")
        tries = self.test.rates[-1]
        name = self.test.best(names, tries)
        return Parent(name, f"highest {tries.title} on the test itself") if name else None

    def chosen_alpha(self, training: str, measure: Measure) -> float | None:
        """The alpha of the merge with the highest value on validation; None if validation or test lacks it.

        If the validation problems have fewer samples, their largest pass@k is used for the choice.
        """
        names = self.validation.by_alpha(training)
        if measure.title not in [each.title for each in self.validation.rates]:
            measure = self.validation.rates[-1]
        merges = {name: alpha for alpha, name in names.items() if alpha not in (0, 1)}
        best = self.validation.best(list(merges), measure)
        return merges[best] if best and merges[best] in self.test.by_alpha(training) else None


def list_missing(study: Study) -> list[str]:
    """A sentence on each part of the study that the results lack."""
    found = [] if study.validation.runs else ["There is no run on validation."]
    summary = study.test
    if not summary.names("start"):
        found.append("There is no run of the start model.")
    for kind, label in KINDS.items():
        if not summary.names(kind):
            found.append(f"There is no {label}.")
    for training in TRAININGS:
        found += _missing_of_training(summary, training)
    return [*found, *_missing_measures(summary), *_missing_samples(summary)]


def _missing_of_training(summary: Summary, training: str) -> Iterator[str]:
    label, names = TRAININGS[training], summary.by_alpha(training)
    if training not in summary.trainings:
        yield f"There is no run of the {label} training."
        return
    tenths = ", ".join(f"{alpha:g}" for alpha in TENTHS if alpha not in names)
    if tenths:
        yield f"The {label} training has no merge at alpha {tenths}."
    for alpha, model in ((0, "start model in chat"), (1, f"fine-tuned model ({label})")):
        if alpha not in names:
            yield f"The {model} was not asked at {_temperature(summary, training)}, so the curve lacks this end."
    own = [name for name, setting in summary.settings.items() if setting.training == training]
    seeds = sorted({seed for name in own for seed in summary.seeds_of(name)})
    for seed in seeds:
        if lacking := [name for name in own if seed not in summary.seeds_of(name)]:
            yield f"Seed {seed} of the {label} training lacks {', '.join(lacking)}."
    curve = summary.curve(training)
    if curve and (len(curve.names) < len(names) or len(curve.seeds) < len(seeds)):
        left_out = [name for alpha, name in names.items() if alpha not in curve.names]
        without = f"; it leaves out {', '.join(left_out)}" if left_out else ""
        yield f"The {label} curve is the mean over {_seeds(set(curve.seeds))}{without}."


def _temperature(summary: Summary, training: str) -> str:
    found = summary.temperature(training)
    return "any temperature" if found is None else f"temperature {found:g}"


def _seeds(seeds: set[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"


def _missing_measures(summary: Summary) -> Iterator[str]:
    for measure in (*summary.base_rates[:1], *SHARES):
        without = [name for name in summary.settings if summary.estimate(name, measure) is None]
        if without:
            yield f"{measure.title} was not measured in {', '.join(without)}."


def _missing_samples(summary: Summary) -> Iterator[str]:
    k = summary.ks[-1]
    for (name, seed), run in summary.runs.items():
        few = int((counts_of(run, "samples") < k).sum())
        if few:
            run_name = name if seed is None else f"{name}, seed {seed}"
            yield f"{run_name}: {few} of {len(summary.order)} problems have fewer than {k} samples and no pass@{k}."
