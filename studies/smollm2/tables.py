"""The tables of the study, in Markdown."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from analysis.display.tables import markdown
from hindsight.pass_at_k.estimators import Estimate
from studies.smollm2.choices import Study, list_missing
from studies.smollm2.results import KINDS, TRAININGS, Setting
from studies.smollm2.summary import DISTINCT, ENDED, ENTROPY, LENGTH, PROGRAMS, VENDI, Measure, Summary

SHARES = (PROGRAMS, DISTINCT, VENDI, ENTROPY, ENDED, LENGTH)
SEEDS_FROM = 2  # values by seed are listed from this many seeds on


def test_table(study: Study) -> str:
    """The test problems: merges and both ends of their curve, parents at their best, early checkpoints, switching."""
    kept = {parent.name for parent in (study.start, *study.finetuned.values()) if parent}
    for training in TRAININGS:
        kept |= set(study.test.by_alpha(training).values())
    settings = [each for each in ordered(study.test) if each.name in kept or each.kind not in ("start", "finetuned")]
    return _split_table(study.test, settings, (DISTINCT, VENDI, ENTROPY, ENDED))


def all_table(study: Study) -> str:
    """Every setting on the test problems."""
    return _split_table(study.test, ordered(study.test), SHARES)


def validation_table(study: Study) -> str:
    """Every setting on the validation problems."""
    return _split_table(study.validation, ordered(study.validation), SHARES)


def _split_table(summary: Summary, settings: Sequence[Setting], shares: Sequence[Measure]) -> str:
    rows, labels = [], Counter(setting.label for setting in settings)
    for setting in settings:
        name, label = setting.name, setting.label
        label = label if labels[label] == 1 else f"{label}: {name}"  # checkpoints of several learning rates
        rates = [_cell(summary.estimate(name, measure)) for measure in summary.rates]
        means = [_mean(summary.estimate(name, measure)) for measure in (*summary.base_rates, *shares)]
        rows.append([label, _seeds(summary.seeds_of(name)), *rates, *means])
    titles = [measure.title for measure in (*summary.rates, *summary.base_rates, *shares)]
    return table(["", "seeds", *titles], rows)


def seeds_table(study: Study) -> str:
    """The value of each seed, of settings with several."""
    summary, rows = study.test, []
    measures = (*summary.rates, *summary.base_rates)
    for setting in ordered(summary):
        if len(summary.seeds_of(setting.name)) >= SEEDS_FROM:
            values = [_numbers(summary.by_seed(setting.name, measure)) for measure in measures]
            rows.append([setting.label, _seeds(summary.seeds_of(setting.name)), *values])
    return table(["", "seeds", *(measure.title for measure in measures)], rows)


def differences_table(study: Study) -> str:
    """Merges, early checkpoints and switching minus each parent at its best."""
    summary, rows = study.test, []
    for measure in (*summary.rates, *summary.base_rates):
        for setting in ordered(summary):
            if setting.kind not in ("start", "finetuned"):
                rows.append([measure.title, setting.label, *_minus_parents(study, setting.name, measure)])
    return table(["", "", "minus the start model", "by seed", "minus the fine-tuned model", "by seed"], rows)


def chosen_table(study: Study) -> str:
    """The merge at the alpha that was best on validation, and its differences to each parent at its best."""
    summary, rows = study.test, []
    for training in summary.trainings:
        for measure in summary.rates:
            alpha = study.chosen_alpha(training, measure)
            if alpha is not None:
                name = summary.by_alpha(training)[alpha]
                value = _cell(summary.estimate(name, measure))
                minus = _minus_parents(study, name, measure)
                rows.append([TRAININGS[training], measure.title, f"{alpha:g}", value, *minus])
    heads = ["training", "", "alpha", "on the test", "minus the start model", "by seed"]
    return table([*heads, "minus the fine-tuned model", "by seed"], rows)


def best_alpha_table(study: Study) -> str:
    """The best alpha on the test problems, both ends included, and how sure this is."""
    summary, rows = study.test, []
    for training in summary.trainings:
        for measure in (*summary.rates, *summary.base_rates):
            curve = summary.curve(training)
            best = summary.best_alpha(curve, measure) if curve else None
            if curve and best:
                each = [summary.best_alpha(curve, measure, [seed]) for seed in curve.seeds]
                alphas = " ".join(f"{one.alpha:g}" for one in each if one)
                sure = [f"{best.low:g} to {best.high:g}", f"{best.share:.3f}", alphas]
                rows.append([TRAININGS[training], measure.title, f"{best.alpha:g}", *sure])
    heads = ["training", "", "highest at alpha", "nine tenths of resamples", "share of resamples", "by seed"]
    return table(heads, rows)


def parents_table(study: Study) -> str:
    """Each parent's setting that merges are compared with, and how it was chosen."""
    parents = [("start model", study.start), *((f"fine-tuned ({TRAININGS[t]})", p) for t, p in study.finetuned.items())]
    rows = [[label, study.test.settings[each.name].label, each.how] for label, each in parents if each]
    return table(["", "setting", ""], rows)


def missing_list(study: Study) -> str:
    """A sentence on each part of the study that the results lack."""
    return "\n".join(f"- {sentence}" for sentence in list_missing(study)) or "Nothing is missing."


TABLES: dict[str, tuple[str, Callable[[Study], str]]] = {  # by name, in the order of tables.md
    "test": ("The test problems", test_table),
    "parents": ("The parents with which merges are compared", parents_table),
    "chosen": ("Merged at the alpha that was best on validation", chosen_table),
    "best_alpha": ("The best alpha on the test problems", best_alpha_table),
    "differences": ("Differences to each parent at its best", differences_table),
    "seeds": ("By training seed", seeds_table),
    "all": ("Every setting on the test problems", all_table),
    "validation": ("The validation problems", validation_table),
    "missing": ("What is missing", missing_list),
}


def make_tables(study: Study) -> dict[str, str]:
    """All tables by name."""
    return {name: make(study) for name, (_, make) in TABLES.items()}


def ordered(summary: Summary) -> list[Setting]:
    """The settings by training and kind, then by what tells them apart."""

    def key(setting: Setting) -> tuple:
        turns = [int(each) if each.isdecimal() else 0 for each in setting.turns or ()]
        details = (setting.alpha or 0, setting.epochs or 0, turns, setting.prompt, setting.temperature)
        return list(("", *TRAININGS)).index(setting.training), KINDS.index(setting.kind), *details

    return sorted(summary.settings.values(), key=key)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; a sentence where it would be empty."""
    return markdown(heads, rows) if rows else "There is no such run."


def _minus_parents(study: Study, name: str, measure: Measure) -> list[str]:
    """The difference to the start model and to the fine-tuned model, each with its values by seed."""
    summary, cells = study.test, []
    for parent in (study.start, study.finetuned.get(summary.settings[name].training)):
        difference = summary.difference(name, parent.name, measure) if parent else None
        by_seed = summary.differences_by_seed(name, parent.name, measure) if parent else []
        cells += [_cell(difference, "+"), _numbers(by_seed, "+") if len(by_seed) >= SEEDS_FROM else ""]
    return cells


def _cell(estimate: Estimate | None, sign: str = "") -> str:
    return estimate.text(sign) if estimate else ""


def _mean(estimate: Estimate | None) -> str:
    return f"{estimate.mean:.3f}" if estimate else ""


def _numbers(values: Iterable[float | None], sign: str = "") -> str:
    return " ".join("-" if value is None else f"{value:{sign}.3f}" for value in values)


def _seeds(seeds: Iterable[int]) -> str:
    return " ".join(map(str, seeds))
