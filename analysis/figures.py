"""The notebooks' figures. A run has one colour in all of them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from analysis.answers import RUNS
from hindsight.curves import COLORS

RUN_COLORS = dict(zip(RUNS, COLORS, strict=False))
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


def color_of(label: str, number: int = 0) -> str:
    """A run's colour, by its name; for another label the colour of that number."""
    return RUN_COLORS.get(label, COLORS[(number + len(RUNS)) % len(COLORS)])


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


def draw_pass_at_k(values: dict[str, dict[int, float]]) -> Figure:
    """A bar for each run, side by side for each k; `values` holds pass@k by run and k."""
    figure, (axes,) = new_figure(5.5, 3)
    ks = list(next(iter(values.values())))
    width = 0.8 / len(values)
    for number, (run, by_k) in enumerate(values.items()):
        places = np.arange(len(ks)) + (number - (len(values) - 1) / 2) * width
        bars = axes.bar(places, [by_k[k] for k in ks], width * 0.9, color=color_of(run, number), label=run)
        axes.bar_label(bars, fmt="%.2f", fontsize="x-small", padding=1)
    axes.set_xticks(range(len(ks)), [f"pass@{k}" for k in ks])
    axes.set(ylim=(0, None))
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_differences(differences: dict[str, tuple[float, float, float]], xlabel: str) -> Figure:
    """Differences with the ends of their intervals, one below the other, and a line at no difference."""
    figure, (axes,) = new_figure(5.5, 0.4 * len(differences) + 0.9)
    for number, (mean, low, high) in enumerate(differences.values()):
        axes.plot([low, high], [number, number], color="#0072B2", linewidth=1.6)
        axes.plot(mean, number, "o", color="#0072B2", markersize=5)
        axes.annotate(f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]", (mean, number), (0, 5), textcoords="offset points",
                      ha="center", fontsize="x-small", bbox={"color": "white", "pad": 0.5})
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.set_yticks(range(len(differences)), list(differences))
    axes.set(xlabel=xlabel, ylim=(len(differences) - 0.4, -0.7))
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


def draw_boxes(panels: dict[str, dict[str, np.ndarray]], ylabel: str) -> Figure:
    """A panel for each entry with a box for each run: quartiles, whiskers from the 5th to the 95th percentile."""
    figure, axes = new_figure(3.4 * len(panels) + 0.4, 3.2, columns=len(panels))
    for one, (title, values) in zip(axes, panels.items(), strict=True):
        boxes = one.boxplot(
            list(values.values()), whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True,
            medianprops={"color": "#BBBBBB", "linewidth": 1.6},
        )
        for number, (run, box) in enumerate(zip(values, boxes["boxes"], strict=True)):
            box.set(facecolor=color_of(run, number), linewidth=0.8)
        one.set_xticks(range(1, len(values) + 1), list(values))
        one.set_title(title, fontsize="small")
        one.grid(axis="y", alpha=0.3, linewidth=0.5)
    axes[0].set_ylabel(ylabel)
    return figure


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
    axes.set(xlabel=f"first component, {shares[0]:.0%} of the variance",
             ylabel=f"second component, {shares[1]:.0%} of the variance")
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
        axes.annotate(repr(tokens[position]), (position, values[position]), (0, 3), textcoords="offset points",
                      fontsize="x-small", ha="center")
    axes.set(xlabel="position in the answer, tokens", ylabel="entropy before the token, nats", ylim=(0, None))
    axes.margins(x=0.02)
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def peaks(values: np.ndarray, most: int, apart: int) -> list[int]:
    """The places of up to `most` of the highest values, from the highest down, at least `apart` from each other."""
    chosen: list[int] = []
    for place in np.argsort(-values, kind="stable"):
        if len(chosen) < most and all(abs(place - other) >= apart for other in chosen):
            chosen.append(int(place))
    return chosen
