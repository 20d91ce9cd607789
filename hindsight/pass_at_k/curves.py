"""Pass@k curves of runs: values with their intervals, paired differences, and the drawing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import UserError
from hindsight.files.runs import read_run
from hindsight.pass_at_k.counts import VerdictCounts
from hindsight.pass_at_k.estimators import bootstrap_interval, pass_at_ks

COLORS = ("#000000", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#0072B2")  # Okabe and Ito 2008
MARKERS = "osD^vPX"
DASHES = ("-", "--", "-.", ":")
ALPHA_MARKERS = "X<v>dDphsP^"  # of alpha 0, 0.1, ..., 1
INSIDE = 5  # curves that a legend inside of a panel has room for
COLUMN = 3.3, 2.6  # inches of a panel: one column of a paper
PRINT = {"font.size": 8, "svg.hashsalt": "hindsight", "svg.fonttype": "none", "pdf.fonttype": 42}  # matplotlib's


@dataclass(frozen=True)
class Curve:
    """A run's pass@k on its problems.

    questions: [problems] ids; texts: [problems] hashes of their texts, "" where not known; values: [problems, ks];
    mean, low, high: [ks], the mean over problems and its 95 % interval. alpha: of a merged model, else None. too_few:
    problems left out for having fewer samples than the largest k.
    """

    label: str
    panel: str
    alpha: float | None
    ks: tuple[int, ...]
    counts: VerdictCounts
    questions: tuple[str, ...]
    texts: tuple[str, ...]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    too_few: tuple[str, ...]

    @property
    def name(self) -> str:
        """The label, with the panel where there are several."""
        return f"{self.label} ({self.panel})" if self.panel else self.label

    @property
    def mean(self) -> np.ndarray:
        return self.values.mean(axis=0)


def make_curve(
    counts: VerdictCounts, name: str, label: str, panel: str, alpha: float | None, ks: Sequence[int], leave_out: bool
) -> Curve:
    """The curve of a run. `name` is what an error calls it.

    Raises UserError when a problem has fewer samples than the largest k, unless `leave_out` leaves such problems out.
    """
    enough = counts.of("samples") >= max(ks)
    few = tuple(question for question, fits in zip(counts.questions, enough, strict=True) if not fits)
    if few and not (leave_out and enough.any()):
        least = counts.of("samples").min()
        raise UserError(
            f"{name}: pass@{max(ks)} needs {max(ks)} samples a problem, {len(few)} of {len(enough)} have fewer "
            f"(the least {least}; the first: {', '.join(few[:5])}); give smaller --ks, sample more, or leave them "
            "out by --leave_out_few"
        )
    questions, texts = (
        tuple(one for one, fits in zip(each, enough, strict=True) if fits) for each in (counts.questions, counts.texts)
    )
    values = pass_at_ks(counts.of("samples")[enough], counts.of("correct")[enough], ks)
    return Curve(label, panel, alpha, tuple(ks), counts, questions, texts, values, *bootstrap_interval(values), few)


def alpha_in(label: str) -> float | None:
    """The alpha that a label ends with, as "alpha 0.7", "Vicuna alpha=0.7" and "alpha_0.7" do; None for no alpha."""
    found = re.search(r"\balpha[ _=]*(0(?:\.\d+)?|1(?:\.0+)?|\.\d+)$", label, re.IGNORECASE)
    return float(found[1]) if found else None


def describe_run(folder: Path) -> tuple[str, float | None]:
    """A run's label and alpha, by its run.json: "alpha 0.7", a model's name, or "switching"; else the folder's name."""
    run = read_run(folder) or {}
    settings = run.get("settings") or {}
    if merged := settings.get("merged_from"):
        return f"alpha {float(merged[2]):g}", float(merged[2])
    if run.get("script") == "switching_inference.py":
        return "switching", None
    models = run.get("models") or []
    return (models[0] if len(models) == 1 else folder.name), None


@dataclass(frozen=True)
class Difference:
    """pass@k of one curve minus that of another, [ks], on the problems of both, with its 95 % interval.

    unlike: how many problems of the two have the same id and another text, as ids of two problem sets do; they are not
    compared. Where that leaves no problem, mean, low and high are None.
    """

    one: str
    other: str
    problems: int
    unlike: int
    mean: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def differences(curves: Sequence[Curve]) -> list[Difference]:
    """The paired differences of every two curves of a panel that have problem ids in common."""
    pairs = ((one, other) for other, one in combinations(curves, 2) if one.panel == other.panel)
    found = [difference(one, other) for one, other in pairs]
    return [each for each in found if each.problems or each.unlike]


def difference(one: Curve, other: Curve) -> Difference:
    """The paired difference of two curves. Problems are the same by id and, where both texts are known, by text."""
    ours, theirs = (dict(zip(curve.questions, curve.texts, strict=True)) for curve in (one, other))
    shared = sorted(ours.keys() & theirs.keys())
    common = [question for question in shared if len({ours[question], theirs[question]} - {""}) < 2]
    unlike = len(shared) - len(common)
    if not common:
        return Difference(one.name, other.name, 0, unlike)
    rows = [dict(zip(curve.questions, curve.values, strict=True)) for curve in (one, other)]
    values = np.array([rows[0][question] - rows[1][question] for question in common])
    interval = bootstrap_interval(values)
    return Difference(one.name, other.name, len(common), unlike, values.mean(axis=0), *interval)


def style(curve: Curve, number: int) -> dict[str, Any]:
    """Colour, line and marker of a curve; see `look`."""
    return look(curve.alpha, number)


def look(alpha: float | None, number: int = 0) -> dict[str, Any]:
    """Colour, line and marker of an alpha, the same in every figure, or of that number of what has no alpha.

    Alphas go from yellow to violet (viridis), which gets darker evenly, so it is told apart in grey and by the
    colour-blind; each tenth has a marker of its own, and lines of what has no alpha are broken.
    """
    from matplotlib import colormaps

    if alpha is None:
        line = DASHES[1 + number // len(COLORS)] if number >= len(COLORS) else "--"
        return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)], "linestyle": line}
    tenth = min(10, max(0, round(alpha * 10)))
    return {"color": colormaps["viridis"](0.9 * (1 - alpha)), "marker": ALPHA_MARKERS[tenth], "linestyle": "-"}


def draw(curves: Sequence[Curve], title: str, output: Path, suffixes: Sequence[str], bands: bool = True) -> None:
    """The curves with their 95 % bands, a panel beside the other, as `output` with each suffix."""
    from matplotlib import rc_context  # here, as bad input is said sooner without it

    with rc_context(PRINT):
        save(make_figure(curves, title, bands), output, suffixes)


def make_figure(curves: Sequence[Curve], title: str, bands: bool) -> Any:
    """The figure of `draw`. Many curves that are the same in all panels have one legend, below them."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(curve.panel for curve in curves))
    labels = [[curve.label for curve in curves if curve.panel == panel] for panel in panels]
    below = len(labels[0]) > INSIDE and all(each == labels[0] for each in labels)
    width, looks = COLUMN[0] * len(panels), {"frameon": False, "fontsize": 7, "handlelength": 2.6}
    columns = max(1, int(width * 72 / 7 / (5.5 + 0.55 * max(map(len, labels[0])))))  # by their width in points
    height = COLUMN[1] + 0.2 * bool(title) + 0.16 * -(-len(labels[0]) // columns) * below
    figure = Figure(figsize=(width, height), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _draw_panel(axes, [curve for curve in curves if curve.panel == panel], bands)
        axes.set_title(panel, fontsize=8)
        if not below:
            axes.legend(**looks)
    figure.axes[0].set_ylabel("pass@k")
    figure.axes[0].set_ylim(0, None)  # when all is drawn: it ends the fitting of the axis to what is drawn
    if below:
        entries = figure.axes[0].get_legend_handles_labels()
        figure.legend(*entries, loc="outside lower center", ncols=columns, **looks)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def save(figure: Any, output: Path, suffixes: Sequence[str]) -> None:
    """A figure as `output` with each suffix: the same bytes each time."""
    for suffix in suffixes:
        date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix)
        figure.savefig(output.with_name(output.name + suffix), dpi=300, metadata=date)


def _draw_panel(axes: Any, curves: Sequence[Curve], bands: bool) -> None:
    others = [curve for curve in curves if curve.alpha is None]
    for curve in curves:
        look = style(curve, others.index(curve) if curve in others else 0)
        if bands:
            axes.fill_between(curve.ks, curve.low, curve.high, color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(curve.ks, curve.mean, **look, markersize=3, linewidth=1.1, label=curve.label)
    ks = curves[0].ks
    if len(ks) <= 12:
        axes.set_xticks(ks)
    elif ks[-1] >= 20 * ks[0]:
        axes.set_xscale("log")
    axes.set_xlabel("k")
    axes.grid(alpha=0.3, linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)
