"""The figures of the study."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.display.style import error_bars
from hindsight.pass_at_k.estimators import Estimate
from studies.smollm2.choices import Study
from studies.smollm2.results import TRAININGS, Setting
from studies.smollm2.summary import SHARES, Measure
from studies.smollm2.tables import ordered

COLORS = {"": "#000000", "full": "#440154", "lora": "#21918C"}  # by training; without one, the start model
SYMBOLS = {"full": "o", "lora": "s"}
MARKS = {"early": "D", "switching": "P"}  # of settings without an alpha, right of the curves
FIRST_MARK, MARK_STEP = 1.14, 0.12  # their places on the axis of alpha
TITLES = {
    "distinct programs": "distinct programs (share)",
    "Vendi": "different programs (Vendi)",
    "entropy": "entropy (nats a token)",
    "ended by the model": "ended by the model (share)",
}
PANEL_INCHES = 1.9, 1.95
SMALL_INCHES = 3.2, 2.7
XLABEL = "alpha (0: start model, 1: fine-tuned)"
ALPHAS = np.linspace(0, 1, 6)  # the ticks of the axis


def draw_measures(study: Study) -> Figure:
    """pass@k by both tests, and below diversity, entropy and the share of ended answers, all by alpha."""
    rates = [each for pair in zip(study.test.rates, study.test.base_rates, strict=True) for each in pair]
    figure = Figure(figsize=(PANEL_INCHES[0] * len(SHARES), PANEL_INCHES[1] * 2 + 0.4), layout="constrained")
    panels = figure.subplots(2, len(SHARES))
    for axes in panels[0, len(rates) :]:
        axes.set_visible(False)
    for axes, measure in zip(panels[0], rates, strict=False):
        title = measure.title if "base" in measure.title else f"{measure.title}, base and plus tests"
        _prepare(axes, title)
        draw_curves(axes, study, measure)
        draw_seeds(axes, study, measure)
        draw_levels(axes, study, measure)
        draw_marks(axes, study, measure)
    for axes, measure in zip(panels[1], SHARES, strict=True):
        _prepare(axes, TITLES[measure.title])
        draw_curves(axes, study, measure)
        draw_marks(axes, study, measure)
        axes.set_ylim(0, 1.06 * axes.get_ylim()[1])
        axes.set_xlabel(XLABEL, fontsize=6)
    return _add_legend(figure, panels[0], 4)


def draw_claim(study: Study) -> Figure:
    """pass@1 (open points) and pass@10 (filled) by alpha in one panel, for the README."""
    figure = Figure(figsize=SMALL_INCHES, layout="constrained")
    axes = figure.subplots()
    _prepare(axes, "")
    for measure in study.test.rates:
        tops = draw_curves(axes, study, measure, "white" if measure.title == "pass@1" else None)
        tops += draw_levels(axes, study, measure)
        if tops:
            axes.annotate(measure.title, (0, max(tops)), (0, 2), textcoords="offset points", fontsize=7)
            axes.set_ylim(0, 1.1 * max(tops))
    axes.set_xlabel(XLABEL, fontsize=7)
    axes.set_xticks(ALPHAS)
    return _add_legend(figure, [axes], 2)


FIGURES = {"by_alpha": draw_measures, "claim": draw_claim}


def draw_curves(axes: Axes, study: Study, measure: Measure, face: str | None = None) -> list[float]:
    """A measure by alpha with its 95 % band, per training; returns the upper ends of the bands."""
    tops = []
    for training in study.test.trainings:
        curve = study.test.curve(training)
        names, seeds = (curve.names, curve.seeds) if curve else ({}, ())
        found = {alpha: study.test.estimate(name, measure, seeds) for alpha, name in names.items()}
        known = {alpha: each for alpha, each in found.items() if each}
        color, alphas, estimates = COLORS[training], list(known), list(known.values())
        if known:
            style: dict[str, Any] = {"color": color, "marker": SYMBOLS[training], "markerfacecolor": face or color}
            style |= {"markersize": 2.5, "linewidth": 1, "zorder": 3, "label": f"merged, {TRAININGS[training]}"}
            axes.plot(alphas, [each.mean for each in estimates], **style)
            ends = [each.low for each in estimates], [each.high for each in estimates]
            axes.fill_between(alphas, *ends, color=color, alpha=0.13, linewidth=0)
            tops += ends[1]
    return tops


def draw_seeds(axes: Axes, study: Study, measure: Measure) -> None:
    """A thin line for each training seed, where there are several."""
    summary = study.test
    for training in summary.trainings:
        names = summary.by_alpha(training)
        seeds = sorted({seed for name in names.values() for seed in summary.seeds_of(name)})
        for seed in seeds if len(seeds) > 1 else ():
            found = [(alpha, summary.estimate(name, measure, [seed])) for alpha, name in names.items()]
            known = [(alpha, each.mean) for alpha, each in found if each]
            alphas, means = zip(*known, strict=True) if known else ((), ())
            style: dict[str, Any] = {"color": COLORS[training], "linewidth": 0.5, "alpha": 0.45, "zorder": 2}
            axes.plot(alphas, means, **style, label=f"each seed, {TRAININGS[training]}")


def draw_levels(axes: Axes, study: Study, measure: Measure) -> list[float]:
    """A line with its band for each parent at its best setting; returns the upper ends of the bands."""
    tops = []
    for training, parent in {"": study.start, **study.finetuned}.items():
        curve = study.test.curve(training)  # with whose seeds the parent is drawn
        estimate = study.test.estimate(parent.name, measure, curve.seeds if curve else None) if parent else None
        if estimate:
            color, model = COLORS[training], f"fine-tuned, {TRAININGS[training]}" if training else "start model"
            label = f"{model}, at its best"
            axes.axhline(estimate.mean, color=color, linestyle="--", linewidth=0.8, zorder=1, label=label)
            axes.axhspan(estimate.low, estimate.high, color=color, alpha=0.05, linewidth=0, zorder=0)
            tops.append(estimate.high)
    return tops


def draw_marks(axes: Axes, study: Study, measure: Measure) -> None:
    """Early checkpoints and switching, right of the curves, with their intervals."""
    marked = [setting for kind in MARKS for setting in ordered(study.test) if setting.kind == kind]
    labels = list(dict.fromkeys(_tick(setting) for setting in marked))
    places = {label: FIRST_MARK + MARK_STEP * number for number, label in enumerate(labels)}
    axes.set_xticks([*ALPHAS, *places.values()], [*(f"{alpha:g}" for alpha in ALPHAS), *labels])
    for tick in axes.get_xticklabels()[len(ALPHAS) :]:
        tick.set(rotation=90, fontsize=5.5)
    if labels:
        axes.axvline(FIRST_MARK - 0.07, color="0.8", linewidth=0.6)
        axes.set_xlim(-0.06, max(places.values()) + 0.07)
    apart = 0.02 if len(study.test.trainings) > 1 else 0
    for setting in marked:
        estimate = study.test.estimate(setting.name, measure)
        if estimate:
            shift = -apart if setting.training == "full" else apart
            _draw_mark(axes, places[_tick(setting)] + shift, estimate, setting)


def _tick(setting: Setting) -> str:
    return setting.short.replace("epochs", "ep.").replace("epoch", "ep.")


def _draw_mark(axes: Axes, place: float, estimate: Estimate, setting: Setting) -> None:
    label = {"early": "stopped early", "switching": "switching, K/P"}[setting.kind]
    style = {"color": COLORS[setting.training], "marker": MARKS[setting.kind], "markersize": 3, "elinewidth": 0.6}
    style |= {"linestyle": "", "label": f"{label}, {TRAININGS[setting.training]}"}
    axes.errorbar([place], [estimate.mean], yerr=error_bars([estimate]), **style)


def _prepare(axes: Axes, title: str) -> None:
    """Plain axes with a small title."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3, linewidth=0.4)
    axes.tick_params(labelsize=6)
    axes.set_title(title, fontsize=7)


def _add_legend(figure: Figure, panels: Iterable[Axes], columns: int) -> Figure:
    """One legend for all panels, below them: full and LoRA one above the other, the start model last."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = sorted(entries, key=lambda label: label.startswith("start"))
    if labels:
        legend = {"loc": "outside lower center", "frameon": False, "fontsize": 6, "handlelength": 2.4}
        figure.legend([entries[label] for label in labels], labels, ncols=columns, **legend)
    return figure
