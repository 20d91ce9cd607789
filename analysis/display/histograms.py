"""Histograms of counts and lengths."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.display.style import BLUE, color_of, count_in_integers, new_figure


def draw_counts(counts: Iterable[int], xlabel: str, ylabel: str) -> Figure:
    """How often each whole number occurs."""
    figure, (axes,) = new_figure(5, 2.8)
    times = Counter(counts)
    axes.bar(list(times), list(times.values()), color=BLUE, width=0.8)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    count_in_integers(axes.xaxis, axes.yaxis)
    return figure


def draw_histogram(values: dict[str, Sequence[float]], xlabel: str, ylabel: str) -> Figure:
    """Histograms of several samples over the same bins, drawn as outlines; heights are shares of a sample."""
    figure, (axes,) = new_figure(5.5, 2.8)
    bins = np.histogram_bin_edges(np.concatenate([np.asarray(sample) for sample in values.values()]), 30)
    for number, (run, sample) in enumerate(values.items()):
        weights = np.full(len(sample), 1 / len(sample))
        style = {"histtype": "step", "linewidth": 1.4, "color": color_of(run, number)}
        axes.hist(sample, bins.tolist(), weights=weights, label=run, **style)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize="small")
    return figure
