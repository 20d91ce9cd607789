"""Figures of verdicts and pass@k."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.display.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    add_label,
    add_legend,
    color_of,
    count_in_integers,
    error_bars,
    new_figure,
    style_of,
)
from hindsight.files import verdicts
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.estimators import Estimate

VERDICT_COLORS = {
    Outcome.CORRECT: GREEN,
    verdicts.WRONG_ANSWER: RED,
    verdicts.RUNTIME_ERROR: ORANGE,
    verdicts.SYNTAX_ERROR: "#F0E442",
    verdicts.TIME_LIMIT: BLUE,
    verdicts.MISSING_FUNCTION: "#56B4E9",
    verdicts.NO_CODE: "#CC79A7",
    Outcome.NOT_CONVERTED: GREY,
    verdicts.NOT_JUDGED: "#DDDDDD",
}
OTHER_VERDICTS = "#000000"
RANKS = {0: ("neither", GREY), 1: ("above both parents", GREEN), -1: ("below both parents", RED)}


def draw_verdicts(counts: dict[str, Counter[str]]) -> Figure:
    """The share of each verdict among the answers of each run, as stacked bars."""
    figure, (axes,) = new_figure(7, 0.5 * len(counts) + 1.2)
    found = {verdict for counter in counts.values() for verdict in counter}
    names = [verdict for verdict in VERDICT_COLORS if verdict in found] + sorted(found - VERDICT_COLORS.keys())
    left = np.zeros(len(counts))
    for name in names:
        shares = np.array([counter[name] / counter.total() for counter in counts.values()])
        color = VERDICT_COLORS.get(name, OTHER_VERDICTS)
        axes.barh(list(counts), shares, left=left, color=color, edgecolor="white", linewidth=0.5, label=str(name))
        left += shares
    axes.set(xlabel="share of answers", xlim=(0, 1))
    axes.invert_yaxis()
    add_legend(axes)
    return figure


def draw_pass_at_k(values: dict[str, dict[int, Estimate]]) -> Figure:
    """pass@k by run and k as bars, grouped by k, with 95 % intervals."""
    figure, (axes,) = new_figure(5.8, 3)
    ks = list(next(iter(values.values())))
    width = 0.8 / len(values)
    for number, (run, by_k) in enumerate(values.items()):
        estimates = [by_k[k] for k in ks]
        means = [each.mean for each in estimates]
        places = np.arange(len(ks)) + (number - (len(values) - 1) / 2) * width
        axes.bar(places, means, width * 0.9, color=color_of(run, number), label=run)
        axes.errorbar(places, means, error_bars(estimates), fmt="none", ecolor="#888888", elinewidth=1.2, capsize=3)
        for place, each in zip(places, estimates, strict=True):
            add_label(axes, f"{each.mean:.2f}", (place, each.high), 2)
    axes.set_xticks(range(len(ks)), [f"pass@{k}" for k in ks])
    axes.set(ylim=(0, None))
    add_legend(axes)
    return figure


def draw_curves(values: dict[str, dict[int, Estimate]]) -> Figure:
    """pass@k over k, a line per run with its 95 % band."""
    figure, (axes,) = new_figure(5.5, 3.2)
    for number, (run, by_k) in enumerate(values.items()):
        style = style_of(run, number)
        low, high = ([each.low for each in by_k.values()], [each.high for each in by_k.values()])
        axes.fill_between(list(by_k), low, high, color=style["color"], alpha=0.12, linewidth=0)
        axes.plot(list(by_k), [each.mean for each in by_k.values()], **style, markersize=4, linewidth=1.3, label=run)
    axes.set(xlabel="k", ylabel="pass@k", ylim=(0, None))
    count_in_integers(axes.xaxis)
    axes.grid(alpha=0.3, linewidth=0.5)
    add_legend(axes)
    return figure


def draw_differences(differences: dict[str, Estimate], xlabel: str) -> Figure:
    """Differences with their 95 % intervals, one per line, and a vertical line at zero."""
    figure, (axes,) = new_figure(5.5, 0.4 * len(differences) + 0.9)
    for number, each in enumerate(differences.values()):
        axes.plot([each.low, each.high], [number, number], color=BLUE, linewidth=1.6)
        axes.plot(each.mean, number, "o", color=BLUE, markersize=5)
        add_label(axes, each.text("+"), (each.mean, number), 5, bbox={"color": "white", "pad": 0.5})
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(differences)), list(differences))
    axes.set(xlabel=xlabel, ylim=(len(differences) - 0.4, -0.7))
    return figure


def draw_with_published(ours: dict[str, dict[float, Estimate]], published: dict[str, dict[float, float]]) -> Figure:
    """Shares of answers by alpha, a panel per share: the published ones, which have no interval, and ours."""
    figure, panels = new_figure(7.5, 2.8, columns=len(published))
    for axes, (name, values) in zip(panels, published.items(), strict=True):
        estimates = list(ours[name].values())
        means = [each.mean for each in estimates]
        axes.plot(list(values), list(values.values()), "s--", color=RED, markersize=5, label="paper")
        style = {"fmt": "o-", "color": BLUE, "markersize": 5, "capsize": 3, "label": "these runs"}
        axes.errorbar(list(ours[name]), means, error_bars(estimates), **style)
        axes.set(xlabel="alpha", ylabel=f"share {name}", ylim=(0, None))
        axes.grid(alpha=0.3, linewidth=0.5)
    add_legend(panels[-1])
    return figure


def draw_by_rules(values: dict[str, dict[str, Estimate]], ylabel: str) -> Figure:
    """Estimates by run and rule, side by side: filled circles by the first rule, hollow squares by the second."""
    figure, (axes,) = new_figure(5.8, 2.8)
    for number, (run, by_rule) in enumerate(values.items()):
        color = color_of(run, number)
        for place, each in enumerate(by_rule.values()):
            x = number + (place - (len(by_rule) - 1) / 2) * 0.28
            marker = _rule_marker(place, color)
            axes.errorbar(x, each.mean, error_bars([each]), color=color, markersize=6, capsize=3, **marker)
            add_label(axes, f"{each.mean:.3f}", (x, each.high))
    for place, rule in enumerate(next(iter(values.values()))):
        axes.plot([], [], linestyle="", color="#666666", label=rule, **_rule_marker(place, "#666666"))
    axes.set_xticks(range(len(values)), list(values))
    axes.set(ylabel=ylabel, ylim=(0, None), xlim=(-0.5, len(values) - 0.5))
    axes.grid(axis="y", alpha=0.3, linewidth=0.5)
    add_legend(axes)
    return figure


def _rule_marker(place: int, color: Any) -> dict[str, Any]:
    return {"marker": "s" if place else "o", "markerfacecolor": "white" if place else color}


def draw_parents(rows: Iterable[dict[str, Any]], label: str) -> Figure:
    """The merged model's share correct against the better and the worse parent's.

    A circle is a group of problems with equal shares, its area their number. `rows` are those of
    `analysis.measures.correctness.compare_with_parents`.
    """
    rows = list(rows)
    figure, panels = new_figure(7.5, 3.8, columns=2)
    for axes, choose, which in zip(panels, (max, min), ("better", "worse"), strict=True):
        for rank, (name, color) in RANKS.items():
            ranked = [row for row in rows if row["rank"] == rank]
            places = Counter((choose(row["one"], row["other"]), row["merged"]) for row in ranked)
            x, y = zip(*places, strict=True) if places else ((), ())
            sizes = [12 * count for count in places.values()]
            axes.scatter(x, y, s=sizes, color=color, alpha=0.7, linewidths=0, label=f"{name}: {len(ranked)} problems")
        axes.plot([0, 1], [0, 1], color="#000000", linewidth=0.6)
        axes.set(xlabel=f"share correct, {which} parent", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
    panels[0].set_ylabel(f"share correct, {label}")
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    for handle in legend.legend_handles:
        handle.set_sizes([30])  # type: ignore[union-attr]  # the handle of a scatter plot is a collection
    return figure
