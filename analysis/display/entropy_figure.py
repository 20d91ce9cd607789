"""Figures of next-token entropy: along one answer, and summarised by alpha and position."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.display.style import add_label, add_legend, color_of, new_figure
from hindsight.pass_at_k.drawing import COLUMN_INCHES, COLUMN_LETTERS, PRINT_STYLE, line_style, save_figure, shown_text

NAMED = 6  # most alphas that are all named in a legend

Record = dict[str, Any]


def draw_entropies(entropies: dict[str, np.ndarray], tokens: Sequence[str], labelled: int = 6) -> Figure:
    """Next-token entropy along one answer by checkpoint; the first one's `labelled` highest peaks show their token."""
    figure, (axes,) = new_figure(8.5, 3)
    for number, (name, values) in enumerate(entropies.items()):
        axes.plot(values, color=color_of(name, number), linewidth=1, label=name)
    values = next(iter(entropies.values()))
    for position in find_peaks(values, labelled, apart=max(len(values) // 20, 1)):
        add_label(axes, repr(tokens[position]), (position, values[position]))
    axes.set(xlabel="position in the answer, tokens", ylabel="entropy before the token, nats")
    axes.margins(x=0.02, y=0.12)  # room for the labels
    axes.set_ylim(bottom=0)
    add_legend(axes)
    return figure


def find_peaks(values: np.ndarray, most: int, apart: int) -> list[int]:
    """The positions of up to `most` of the highest values, from the highest down, at least `apart` from each other."""
    chosen: list[int] = []
    for place in np.argsort(-values, kind="stable"):
        if len(chosen) < most and all(abs(place - other) >= apart for other in chosen):
            chosen.append(int(place))
    return chosen


def save_summary(summaries: Sequence[Record], size: int, read: str, output: Path, suffixes: Sequence[str]) -> None:
    """Saves mean entropy by alpha (if a checkpoint has one) and by position in the answer, as panels of one picture.

    `summaries` are those of analysis/entropy.py; `size` is the number of positions per point; `read` describes the
    answers; the picture is saved as `output` with each suffix.
    """
    others = [summary["label"] for summary in summaries if summary["alpha"] is None]
    styles = {
        each["label"]: line_style(each["alpha"], others.index(each["label"]) if each["alpha"] is None else 0)
        for each in summaries
    }
    count = 1 + (len(others) < len(summaries))
    with rc_context(PRINT_STYLE):
        figure = Figure(figsize=(COLUMN_INCHES[0] * count, COLUMN_INCHES[1] + 0.2), layout="constrained")
        panels = figure.subplots(1, count, squeeze=False)[0]
        _draw_alphas(panels[0], summaries, styles)
        _draw_positions(panels[-1], summaries, styles, size)
        for axes in panels:
            axes.set(ylim=(0, None))
            axes.grid(alpha=0.3, linewidth=0.4)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("next-token entropy, nats")
        figure.suptitle(shown_text(f"{read}, read by each checkpoint", COLUMN_LETTERS * count), fontsize=8)
        save_figure(figure, output, suffixes)


def _draw_alphas(axes: Any, summaries: Sequence[Record], styles: dict[str, dict]) -> None:
    """Means by alpha with their intervals, hollow for merged folders; a level line for a checkpoint without alpha."""
    in_memory = [each for each in summaries if isinstance(each["read"]["source"], list)]
    axes.plot([each["alpha"] for each in in_memory], [each["mean"] for each in in_memory], color="0.6", linewidth=0.8)
    for each in summaries:
        style = styles[each["label"]]
        if each["alpha"] is None:
            axes.axhline(each["mean"], color=style["color"], linestyle=style["linestyle"], linewidth=1.1)
            axes.axhspan(each["low"], each["high"], color=style["color"], alpha=0.08, linewidth=0)
            continue
        style = style if each in in_memory else {**style, "markerfacecolor": "none", "markersize": 7}
        around = [[each["mean"] - each["low"]], [each["high"] - each["mean"]]]
        axes.errorbar(each["alpha"], each["mean"], around, **{"markersize": 4, **style}, linewidth=0.9, capsize=2)
    axes.set(xlabel="alpha (0: base, 1: fine-tuned)", xlim=(-0.04, 1.04))


def _draw_positions(axes: Any, summaries: Sequence[Record], styles: dict[str, dict], size: int) -> None:
    """Means by position with their intervals; of many alphas, the legend names the first, the middle and the last."""
    alphas = [each["label"] for each in summaries if each["alpha"] is not None]
    unnamed = set(alphas) - {alphas[0], alphas[len(alphas) // 2], alphas[-1]} if len(alphas) > NAMED else set()
    for each in summaries:
        label = None if each["label"] in unnamed else shown_text(each["label"])
        style, points = styles[each["label"]], each["by_position"]
        places = [point["start"] + size / 2 for point in points]
        low, mean, high = ([point[name] for point in points] for name in ("low", "mean", "high"))
        axes.fill_between(places, low, high, color=style["color"], alpha=0.1, linewidth=0)
        axes.plot(places, mean, color=style["color"], linestyle=style["linestyle"], linewidth=1, label=label)
    axes.set(xlabel="position in the answer, tokens")
    axes.legend(frameon=False, fontsize=6.5, handlelength=2.2)
