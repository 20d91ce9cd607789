"""The notebooks' figures. A run has one colour and marker in all of them, and in those of pass_at_k_plot.py."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from analysis.measures.diversity import MEASURES
from hindsight.pass_at_k.drawing import line_style
from hindsight.pass_at_k.estimators import Estimate
from hindsight.pass_at_k.labels import alpha_in

NUMBERS = {"base": 0, "start": 0, "switching": 1, "finetuned": 1, "instruct": 2}  # of runs that have no alpha
VERDICT_COLORS = {
    "correct": "#009E73",
    "wrong answer": "#D55E00",
    "runtime error": "#E69F00",
    "syntax error": "#F0E442",
    "time limit": "#0072B2",
    "missing function": "#56B4E9",
    "no code": "#CC79A7",
    "not converted": "#999999",
    "not judged": "#DDDDDD",
}
OTHER_VERDICTS = "#000000"
DPI = 100
PANEL = 1.65, 0.62  # inches of a measure's panel, and of what is above and below it


def look_of(label: str, number: int = 0) -> dict[str, Any]:
    """A run's colour, line and marker (`hindsight.pass_at_k.curves.look`), by its name; for another name those of that number."""
    return line_style(alpha_in(label), NUMBERS.get(label, number + 3))


def color_of(label: str, number: int = 0) -> Any:
    """A run's colour, by its name."""
    return look_of(label, number)["color"]


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with a row of plain axes."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize="small")
    return figure, axes


def draw_verdicts(counts: dict[str, Counter]) -> Figure:
    """The share of each verdict among the answers of each run, as stacked bars."""
    figure, (axes,) = new_figure(7, 0.5 * len(counts) + 1.2)
    found = {verdict for counter in counts.values() for verdict in counter}
    verdicts = [verdict for verdict in VERDICT_COLORS if verdict in found] + sorted(found - VERDICT_COLORS.keys())
    left = np.zeros(len(counts))
    for verdict in verdicts:
        shares = np.array([counter[verdict] / counter.total() for counter in counts.values()])
        color = VERDICT_COLORS.get(verdict, OTHER_VERDICTS)
        axes.barh(list(counts), shares, left=left, color=color, edgecolor="white", linewidth=0.5, label=verdict)
        left += shares
    axes.set(xlabel="share of answers", xlim=(0, 1))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_pass_at_k(values: dict[str, dict[int, Estimate]]) -> Figure:
    """A bar for each run, side by side for each k, with its 95 % interval; `values` holds pass@k by run and k."""
    figure, (axes,) = new_figure(5.8, 3)
    ks = list(next(iter(values.values())))
    width = 0.8 / len(values)
    for number, (run, by_k) in enumerate(values.items()):
        places = np.arange(len(ks)) + (number - (len(values) - 1) / 2) * width
        means = [by_k[k].mean for k in ks]
        errors = np.array([[by_k[k].mean - by_k[k].low, by_k[k].high - by_k[k].mean] for k in ks]).T
        axes.bar(places, means, width * 0.9, color=color_of(run, number), label=run)
        axes.errorbar(places, means, errors, fmt="none", ecolor="#888888", elinewidth=1.2, capsize=3)
        for place, k in zip(places, ks, strict=True):
            axes.annotate(
                f"{by_k[k].mean:.2f}",
                (place, by_k[k].high),
                (0, 2),
                textcoords="offset points",
                fontsize="x-small",
                ha="center",
            )
    axes.set_xticks(range(len(ks)), [f"pass@{k}" for k in ks])
    axes.set(ylim=(0, None))
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_curves(values: dict[str, dict[int, Estimate]], ylabel: str = "pass@k") -> Figure:
    """A line for each run over k, with its 95 % band."""
    figure, (axes,) = new_figure(5.5, 3.2)
    for number, (run, by_k) in enumerate(values.items()):
        style = look_of(run, number)
        ends = [[by_k[k].low for k in by_k], [by_k[k].high for k in by_k]]
        axes.fill_between(list(by_k), *ends, color=style["color"], alpha=0.12, linewidth=0)
        axes.plot(list(by_k), [each.mean for each in by_k.values()], **style, markersize=4, linewidth=1.3, label=run)
    axes.set(xlabel="k", ylabel=ylabel, ylim=(0, None))
    axes.get_xaxis().get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_differences(differences: dict[str, Estimate], xlabel: str) -> Figure:
    """Differences with the ends of their intervals, one below the other, and a line at no difference."""
    figure, (axes,) = new_figure(5.5, 0.4 * len(differences) + 0.9)
    for number, each in enumerate(differences.values()):
        axes.plot([each.low, each.high], [number, number], color="#0072B2", linewidth=1.6)
        axes.plot(each.mean, number, "o", color="#0072B2", markersize=5)
        text = f"{each.mean:+.3f} [{each.low:+.3f}, {each.high:+.3f}]"
        axes.annotate(
            text,
            (each.mean, number),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
            bbox={"color": "white", "pad": 0.5},
        )
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.set_yticks(range(len(differences)), list(differences))
    axes.set(xlabel=xlabel, ylim=(len(differences) - 0.4, -0.7))
    return figure


def draw_beside_paper(ours: dict[str, dict[float, Estimate]], paper: dict[str, dict[float, float]]) -> Figure:
    """Shares of answers by alpha: the paper's, which have no interval, and ours; a panel for each share."""
    figure, panels = new_figure(7.5, 2.8, columns=len(paper))
    for axes, (name, values) in zip(panels, paper.items(), strict=True):
        axes.plot(list(values), list(values.values()), "s--", color="#D55E00", markersize=5, label="the paper's")
        means = [each.mean for each in ours[name].values()]
        errors = np.array([[each.mean - each.low, each.high - each.mean] for each in ours[name].values()]).T
        axes.errorbar(
            list(ours[name]), means, errors, fmt="o-", color="#0072B2", markersize=5, capsize=3, label="these runs'"
        )
        axes.set(xlabel="alpha", ylabel=f"share {name}", ylim=(0, None))
        axes.grid(alpha=0.3, linewidth=0.5)
    panels[-1].legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_by_both_rules(values: dict[str, dict[str, Estimate]], ylabel: str) -> Figure:
    """For each run an estimate by each of several rules, side by side: filled by the first, hollow by the others."""
    figure, (axes,) = new_figure(5.8, 2.8)
    for number, (run, by_rule) in enumerate(values.items()):
        color = color_of(run, number)
        for place, each in enumerate(by_rule.values()):
            x = number + (place - (len(by_rule) - 1) / 2) * 0.28
            errors = [[each.mean - each.low], [each.high - each.mean]]
            axes.errorbar(
                x,
                each.mean,
                errors,
                fmt="s" if place else "o",
                color=color,
                markerfacecolor="white" if place else color,
                markersize=6,
                capsize=3,
            )
            axes.annotate(
                f"{each.mean:.3f}", (x, each.high), (0, 3), textcoords="offset points", ha="center", fontsize="x-small"
            )
    for place, rule in enumerate(next(iter(values.values()))):
        axes.plot(
            [], [], "s" if place else "o", color="#666666", markerfacecolor="white" if place else "#666666", label=rule
        )
    axes.set_xticks(range(len(values)), list(values))
    axes.set(ylabel=ylabel, ylim=(0, None), xlim=(-0.5, len(values) - 0.5))
    axes.grid(axis="y", alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_against_both(rows: Sequence[dict[str, float]], label: str) -> Figure:
    """A circle for problems alike in both shares: the merged model's against the better and the worse parent's."""
    figure, panels = new_figure(7.5, 3.8, columns=2)
    colors = {1: "#009E73", 0: "#999999", -1: "#D55E00"}
    names = {1: "above both parents", 0: "neither", -1: "below both parents"}
    totals = Counter(row["stands"] for row in rows)
    for axes, choose, which in zip(panels, (max, min), ("better", "worse"), strict=True):
        for stands in (0, 1, -1):
            places = Counter(
                (choose(row["one"], row["other"]), row["merged"]) for row in rows if row["stands"] == stands
            )
            x, y = zip(*places, strict=True) if places else ((), ())
            sizes = [12 * count for count in places.values()]
            text = f"{names[stands]}: {totals[stands]} problems"
            axes.scatter(x, y, s=sizes, color=colors[stands], alpha=0.7, linewidths=0, label=text)
        axes.plot([0, 1], [0, 1], color="#000000", linewidth=0.6)
        axes.set(xlabel=f"share correct, the {which} parent", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
    panels[0].set_ylabel(f"share correct, {label}")
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    for handle in legend.legend_handles:
        handle.set_sizes([30])
    return figure


def draw_densities(panels: dict[str, dict[str, np.ndarray]], xlabel: str) -> Figure:
    """A panel for each entry with a density for each run, by kernels of Scott's width, and a tick at its mean."""
    figure, axes = new_figure(3.6 * len(panels) + 1.2, 3, columns=len(panels))
    for one, (title, samples) in zip(axes, panels.items(), strict=True):
        ends = min(sample.min() for sample in samples.values()), max(sample.max() for sample in samples.values())
        places = np.linspace(*ends, 300)
        for number, (run, sample) in enumerate(samples.items()):
            style = {name: value for name, value in look_of(run, number).items() if name != "marker"}
            heights = gaussian_kde(sample)(places) if np.ptp(sample) > 1e-6 else np.zeros(len(places))  # all alike
            one.plot(places, heights, **style, linewidth=1.4, label=run)
            one.fill_between(places, heights, color=style["color"], alpha=0.08, linewidth=0)
            one.axvline(sample.mean(), ymax=0.06, color=style["color"], linewidth=2)
        one.set(xlabel=xlabel, ylim=(0, None), yticks=[])
        one.set_title(title, fontsize="small")
        one.spines["left"].set_visible(False)
    axes[0].set_ylabel("density")
    axes[-1].legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_measures(
    estimates: dict[str, dict[str, Estimate]], looks: dict[str, dict[str, Any]] | None = None, width: float = 8.5
) -> Figure:
    """A panel for each measure of diversity with a point and its interval for each run; an arrow to the more diverse.

    looks: the colour and marker of each run, else those of its name; width: of the figure, in inches.
    """
    names, runs = list(next(iter(estimates.values()))), list(estimates)
    looks = looks or {run: look_of(run, number) for number, run in enumerate(runs)}
    columns = min(len(names), max(1, int(width / PANEL[0])))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(width, lines * (PANEL[1] + 0.14 * len(runs))), layout="constrained", dpi=DPI)
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axes, name in zip(panels, names, strict=False):
        _draw_measure(axes, name, {run: estimates[run][name] for run in runs}, looks)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    return figure


def _draw_measure(axes: Axes, name: str, estimates: dict[str, Estimate], looks: dict[str, dict[str, Any]]) -> None:
    for place, (run, each) in enumerate(estimates.items()):
        color, marker = looks[run]["color"], looks[run]["marker"]
        axes.plot([each.low, each.high], [place, place], color=color, linewidth=1.4)
        axes.plot(each.mean, place, color=color, marker=marker, markersize=2.8)
    axes.set_title(name, fontsize=7)
    axes.set_yticks(range(len(estimates)), list(estimates))
    axes.tick_params(labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(estimates) - 0.5, -0.5)
    axes.set_xlabel("← more diverse" if MEASURES[name].endswith("less diverse") else "more diverse →", fontsize=6)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", alpha=0.3, linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)


def draw_map(points: dict[str, np.ndarray], correct: dict[str, Sequence[bool]], shares: np.ndarray) -> Figure:
    """Answers as circles in a plane, [n, 2] by run: filled where they are correct, hollow where not.

    Answers of a run that lie in one place are one circle of so many times the area; later runs' are smaller, so that
    those of several runs in one place show as rings.
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
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_counts(counts: Sequence[int], xlabel: str, ylabel: str, color: str = "#0072B2") -> Figure:
    """How often each whole number comes."""
    figure, (axes,) = new_figure(5, 2.8)
    times = Counter(counts)
    axes.bar(list(times), list(times.values()), color=color, width=0.8)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    return figure


def draw_histogram(values: dict[str, Sequence[float]], xlabel: str, ylabel: str) -> Figure:
    """Histograms of one or more samples over the same bins, as outlines; each one's share of its whole."""
    figure, (axes,) = new_figure(5.5, 2.8)
    bins = np.histogram_bin_edges(np.concatenate([np.asarray(sample) for sample in values.values()]), 30)
    for number, (run, sample) in enumerate(values.items()):
        weights = np.full(len(sample), 1 / len(sample))
        axes.hist(sample, bins, weights=weights, histtype="step", linewidth=1.4, color=color_of(run, number), label=run)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize="small")
    return figure


def draw_entropies(entropies: dict[str, np.ndarray], tokens: Sequence[str], named: int = 6) -> Figure:
    """Next-token entropy along one answer by checkpoint; the first one's highest peaks are named by their token."""
    figure, (axes,) = new_figure(8.5, 3)
    for number, (name, values) in enumerate(entropies.items()):
        axes.plot(values, color=color_of(name, number), linewidth=1, label=name)
    values = next(iter(entropies.values()))
    for position in peaks(values, named, apart=max(len(values) // 20, 1)):
        axes.annotate(
            repr(tokens[position]),
            (position, values[position]),
            (0, 3),
            textcoords="offset points",
            fontsize="x-small",
            ha="center",
        )
    axes.set(xlabel="position in the answer, tokens", ylabel="entropy before the token, nats")
    axes.margins(x=0.02, y=0.12)  # room for the names
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def peaks(values: np.ndarray, most: int, apart: int) -> list[int]:
    """The places of up to `most` of the highest values, from the highest down, at least `apart` from each other."""
    chosen: list[int] = []
    for place in np.argsort(-values, kind="stable"):
        if len(chosen) < most and all(abs(place - other) >= apart for other in chosen):
            chosen.append(int(place))
    return chosen
