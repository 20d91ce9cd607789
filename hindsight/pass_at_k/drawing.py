"""Figures of Pass@k curves, and the style that every figure shares."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hindsight.errors import require
from hindsight.pass_at_k.curves import Curve
from hindsight.pass_at_k.extrapolation import Extrapolation
from hindsight.pass_at_k.paper_curves import PaperCurve

COLORS = ("#000000", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#0072B2")  # Okabe and Ito 2008
MARKERS = "osD^vPX"
DASHES = ("-", "--", "-.", ":")
ALPHA_MARKERS = "X<v>dDphsP^"  # of alpha 0, 0.1, ..., 1
INSIDE = 5  # the most curves whose legend fits inside a panel
PUBLISHED = {"markersize": 3, "markerfacecolor": "white", "markeredgewidth": 0.6, "linewidth": 0.7, "alpha": 0.8}
COLUMN_INCHES = 3.3, 2.6  # the size of a panel: one column of a paper
COLUMN_LETTERS = 42  # the most characters of a line that fit into it
PRINT_STYLE: dict[Any, Any] = {  # matplotlib's settings
    "font.size": 8,
    "svg.hashsalt": "hindsight",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def suffixes_of(formats: Sequence[str]) -> list[str]:
    """The suffixes of FORMATS. Raises UserError for an unknown one."""
    unknown = sorted(set(formats) - {"pdf", "png", "svg"})
    require(not unknown, f"FORMATS are pdf, png and svg, not {', '.join(unknown)}")
    return [f".{name}" for name in formats]


def require_output(output: str) -> None:
    """Raises UserError unless OUTPUT, a path without suffix, names files."""
    require(bool(Path(output).name), f"OUTPUT is a path for files, not {output!r}")


def shown_text(text: str, letters: int = COLUMN_LETTERS) -> str:
    """A label or title as matplotlib draws it: in lines of at most `letters` characters; a formula such as $k^2$ stays.

    A dollar sign without a formula is drawn as it is, and a leading underscore does not hide the label in the legend.
    """
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    text = text.encode("utf-8", "replace").decode()  # a folder's name may be of bytes that are not UTF-8
    if is_math_text(text):
        try:
            MathTextParser("path").parse(text)
            return text
        except ValueError:
            text = text.replace("$", r"\$")
    return "\n".join(textwrap.wrap(f" {text}" if text.startswith("_") else text, letters))


def line_style(alpha: float | None, number: int = 0) -> dict[str, Any]:
    """Colour, line and marker by alpha, the same in every figure; without an alpha, by number.

    Alphas go from yellow to violet (viridis), which darkens evenly, so readers can tell them apart in grey and with
    colour blindness. Each tenth has its own marker. Lines without an alpha are dashed, as are the second, third, ...
    run of one alpha, each `number` in its own way.
    """
    from matplotlib import colormaps

    if alpha is None:
        lap, place = divmod(number, len(COLORS))
        again, dashes = divmod(lap, len(DASHES) - 1)  # when the dashes are used up, the markers move on
        marker = MARKERS[(place + again) % len(MARKERS)]
        return {"color": COLORS[place], "marker": marker, "linestyle": DASHES[1 + dashes]}
    again, dashes = divmod(number, len(DASHES))
    marker = ALPHA_MARKERS[(min(10, max(0, round(alpha * 10))) + again) % len(ALPHA_MARKERS)]
    return {"color": colormaps["viridis"](0.9 * (1 - alpha)), "marker": marker, "linestyle": DASHES[dashes]}


def draw_curves(
    curves: Sequence[Curve],
    title: str,
    output: Path,
    suffixes: Sequence[str],
    bands: bool = True,
    paper: Sequence[PaperCurve] = (),
) -> None:
    """Draws the curves with their 95 % bands, panels side by side, and saves them as `output` with each suffix, if any.

    `paper`: published curves to draw below them, in the panels of the same names.
    """
    if not suffixes:
        return
    from matplotlib import rc_context  # here, so that bad input is reported before this slow import

    with rc_context(PRINT_STYLE):
        save_figure(make_figure(curves, title, bands, paper), output, suffixes)


def make_figure(curves: Sequence[Curve], title: str, bands: bool, paper: Sequence[PaperCurve] = ()) -> Any:
    """The figure of `draw_curves`. If all panels show the same many curves, they share one legend below."""
    from matplotlib.figure import Figure

    shown = [(curve.run.panel, shown_text(f"paper: {curve.run.label}")) for curve in paper]
    shown += [(curve.run.panel, shown_text(curve.run.label)) for curve in curves]
    title = shown_text(title, COLUMN_LETTERS * len({panel for panel, _ in shown}))
    panels = list(dict.fromkeys(panel for panel, _ in shown))
    labels = [[label for panel, label in shown if panel == each] for each in panels]
    below = not paper and len(labels[0]) > INSIDE and all(each == labels[0] for each in labels)
    width, legend = COLUMN_INCHES[0] * len(panels), {"frameon": False, "fontsize": 7, "handlelength": 2.6}
    longest = max(len(line) for label in labels[0] for line in label.splitlines())
    columns = max(1, int(width * 72 / 7 / (5.5 + 0.55 * longest)))  # by their width in points
    entries = -(-len(labels[0]) // columns) if below else max(map(len, labels)) if paper else 0
    lines = entries * max(label.count("\n") + 1 for _, label in shown)
    height = COLUMN_INCHES[1] + 0.2 * len(title.splitlines()) + 0.16 * lines
    figure = Figure(figsize=(width, height), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=not paper, squeeze=False)[0], panels, strict=True):
        published = [curve for curve in paper if curve.run.panel == panel]
        _draw_panel(axes, [curve for curve in curves if curve.run.panel == panel], bands, published)
        axes.set_title(shown_text(panel), fontsize=8)
        if paper:  # the curves fill their panels
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), **legend)
        elif not below:
            axes.legend(**legend)
    figure.axes[0].set_ylabel("pass@k")
    if not paper:  # the paper's panels have separate scales, as their curves are far apart
        figure.axes[0].set_ylim(0, None)  # after drawing, as it stops the axis from fitting itself to the curves
    if below:
        entries = figure.axes[0].get_legend_handles_labels()
        figure.legend(*entries, loc="outside lower center", ncols=columns, **legend)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def save_figure(figure: Any, output: Path, suffixes: Sequence[str]) -> None:
    """Saves a figure as `output` with each suffix: the same bytes each time."""
    for suffix in suffixes:
        date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix)
        figure.savefig(output.with_name(output.name + suffix), dpi=300, metadata=date)


def _draw_panel(axes: Any, curves: Sequence[Curve], bands: bool, published: Sequence[PaperCurve]) -> None:
    """The curves of one panel. A run with a published curve's label has its colour, line and marker."""
    drawn: Counter[float | None] = Counter()
    styles: dict[str, dict[str, Any]] = {}
    for curve in published:
        style = styles[curve.run.label] = _next_style(curve.run.alpha, drawn)
        axes.plot(curve.ks, curve.mean, **style, **PUBLISHED, label=shown_text(f"paper: {curve.run.label}"))
    for curve in curves:
        style = styles.get(curve.run.label) or _next_style(curve.run.alpha, drawn)
        if bands:
            axes.fill_between(curve.ks, curve.low, curve.high, color=style["color"], alpha=0.12, linewidth=0)
        axes.plot(curve.ks, curve.mean, **style, markersize=3, linewidth=1.1, label=shown_text(curve.run.label))
        if curve.beyond:
            _draw_beyond(axes, curve.beyond, style["color"], bands)
    ks = sorted({k for curve in (*curves, *published) for k in curve.ks})
    farthest = max([ks[-1], *(curve.beyond.ks[-1] for curve in curves if curve.beyond)])
    if len(ks) <= 12 and farthest == ks[-1]:
        axes.set_xticks(ks)
    elif farthest >= 20 * ks[0]:
        axes.set_xscale("log")
    axes.set_xlabel("k")
    axes.grid(alpha=0.3, linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_beyond(axes: Any, beyond: Extrapolation, color: Any, bands: bool) -> None:
    """Estimates beyond the samples, dashed and without markers; their band, of another kind, is lighter."""
    if bands:
        axes.fill_between(beyond.ks, beyond.low, beyond.high, color=color, alpha=0.06, linewidth=0)
    axes.plot(beyond.ks, beyond.mean, color=color, linestyle=(0, (5, 3)), linewidth=0.9)


def _next_style(alpha: float | None, drawn: Counter[float | None]) -> dict[str, Any]:
    """The style of a panel's next curve of this alpha; counts it in `drawn`."""
    drawn[alpha] += 1
    return line_style(alpha, drawn[alpha] - 1)
