"""Figures of how similar or diverse answers are."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from analysis.display.style import DPI, add_legend, color_of, new_figure, style_of
from analysis.measures.diversity import MEASURES
from hindsight.pass_at_k.drawing import shown_text
from hindsight.pass_at_k.estimators import Estimate

PANEL_WIDTH, PANEL_MARGIN = 1.65, 0.62  # inches: width of a measure's panel; height of its title and axis
LABEL_LETTERS = 24  # the most characters of a line of a run's label


def draw_densities(panels: dict[str, dict[str, np.ndarray]], xlabel: str) -> Figure:
    """A panel per entry with a density per run, by kernels of Scott's width, and a tick at each run's mean."""
    from scipy.stats import gaussian_kde  # slow to import, and needed only here

    figure, axes = new_figure(3.6 * len(panels) + 1.2, 3, columns=len(panels))
    for one, (title, samples) in zip(axes, panels.items(), strict=True):
        ends = min(sample.min() for sample in samples.values()), max(sample.max() for sample in samples.values())
        places = np.linspace(*ends, 300)
        for number, (run, sample) in enumerate(samples.items()):
            style = {name: value for name, value in style_of(run, number).items() if name != "marker"}
            differ = np.ptp(sample) > 1e-6  # equal values have no density
            heights = gaussian_kde(sample)(places) if differ else np.zeros(len(places))
            one.plot(places, heights, **style, linewidth=1.4, label=run)
            one.fill_between(places, heights, color=style["color"], alpha=0.08, linewidth=0)
            one.axvline(sample.mean(), ymax=0.06, color=style["color"], linewidth=2)
        one.set(xlabel=xlabel, ylim=(0, None), yticks=[])
        one.set_title(title, fontsize="small")
        one.spines["left"].set_visible(False)
    axes[0].set_ylabel("density")
    add_legend(axes[-1])
    return figure


def draw_measures(
    estimates: dict[str, dict[str, Estimate]], styles: dict[str, dict[str, Any]] | None = None, width: float = 8.5
) -> Figure:
    """A panel per measure of diversity with each run's estimate and interval; an arrow points towards more diversity.

    styles: the colour and marker of each run, by default those of its name; width: of the figure, in inches.
    """
    names, runs = list(next(iter(estimates.values()))), list(estimates)
    styles = styles or {run: style_of(run, number) for number, run in enumerate(runs)}
    columns = min(len(names), max(1, int(width / PANEL_WIDTH)))
    lines = -(-len(names) // columns)
    labels = [shown_text(run, min(LABEL_LETTERS, int(6 * width))) for run in runs]
    height = PANEL_MARGIN + 0.14 * len(runs) * max(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(width, lines * height), layout="constrained", dpi=DPI)
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axes, name in zip(panels, names, strict=False):
        _draw_measure(axes, name, {run: estimates[run][name] for run in runs}, styles)
    panels[0].set_yticks(range(len(runs)), labels)  # of all panels, as they share the axis
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    return figure


def _draw_measure(axes: Axes, name: str, estimates: dict[str, Estimate], styles: dict[str, dict[str, Any]]) -> None:
    for place, (run, each) in enumerate(estimates.items()):
        color, marker = styles[run]["color"], styles[run]["marker"]
        axes.plot([each.low, each.high], [place, place], color=color, linewidth=1.4)
        axes.plot(each.mean, place, color=color, marker=marker, markersize=2.8)
    axes.set_title(name, fontsize=7)
    axes.tick_params(labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(estimates) - 0.5, -0.5)
    axes.set_xlabel("← more diverse" if MEASURES[name].endswith("less diverse") else "more diverse →", fontsize=6)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", alpha=0.3, linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)


def draw_map(points: dict[str, np.ndarray], correct: dict[str, Sequence[bool]], shares: np.ndarray) -> Figure:
    """Answers as circles in a plane, [n, 2] by run: filled if correct, else hollow.

    Answers of a run at the same place are one circle with an area in proportion. Circles of later runs are smaller, so
    answers of several runs at one place show as rings. `shares` are the components' shares of the variance.
    """
    figure, (axes,) = new_figure(6, 4)
    circles = []
    for number, run in enumerate(points):
        places = Counter(zip(map(tuple, points[run].round(2).tolist()), correct[run], strict=True))
        unit = 24 * 1.5 ** (len(points) - number - 1)
        circles += [(unit * count, *place, right, color_of(run, number)) for (place, right), count in places.items()]
    for size, x, y, right, color in sorted(circles, key=lambda circle: -circle[0]):
        face = to_rgba(color, 0.8 if right else 0.0)
        axes.scatter(x, y, s=size, facecolors=[face], edgecolors=color, linewidths=1.2)
    legend = [(run, color_of(run, number), True) for number, run in enumerate(points)]
    for label, color, filled in [*legend, ("correct", "#666666", True), ("not correct", "#666666", False)]:
        axes.scatter([], [], s=36, facecolors=color if filled else "none", edgecolors=color, label=label)
    axes.set(
        xlabel=f"first component, {shares[0]:.0%} of the variance",
        ylabel=f"second component, {shares[1]:.0%} of the variance",
    )
    axes.margins(0.12)
    add_legend(axes)
    return figure
