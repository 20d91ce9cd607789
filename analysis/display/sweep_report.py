"""The table and the figure of a sweep of alphas."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from analysis.display.style import DPI
from analysis.display.tables import markdown_table
from analysis.measures.alpha_sweep import MEASURES, MeasuredSweep
from hindsight.pass_at_k.estimators import Estimate

COLOR, PARENTS = "#440154", {0: ("base", "#000000"), 1: ("fine-tuned", "#D55E00")}
COLUMNS, PANEL_INCHES = 4, (2.0, 1.75)  # panels in a row; the size of each


def sweep_tables(measured: MeasuredSweep) -> str:
    """A table of each measure by alpha, and one of the paired differences to each parent, in Markdown."""
    parts = [markdown_table(_row(alpha, measured, None) for alpha in measured.alphas)]
    for parent in measured.parents:
        rows = [_row(alpha, measured, parent) for alpha in measured.alphas if alpha != parent]
        if rows:
            parts.append(
                f"minus alpha {parent:g} ({PARENTS[int(parent)][0]}), paired by problem\n\n{markdown_table(rows)}"
            )
    return "\n\n".join(parts)


def _row(alpha: float, measured: MeasuredSweep, parent: float | None) -> dict[str, str]:
    """An alpha's estimates, or with a parent its differences to it."""
    cells = {"alpha": f"{alpha:g}"}
    for name in measured.names:
        estimate = measured.estimate(alpha, name) if parent is None else measured.difference(alpha, parent, name)
        cells[name] = _cell(name, estimate, "" if parent is None else "+")
    return cells


def _cell(name: str, estimate: Estimate | None, sign: str) -> str:
    return "" if estimate is None else estimate.text(sign, MEASURES[name].digits if name in MEASURES else 3)


def draw_sweep(measured: MeasuredSweep) -> Figure:
    """A panel per measure: its means by alpha with their 95 % band, and each parent's level as a dashed line.

    Filled points differ from the parents: the intervals of the paired differences exclude zero.
    """
    names = measured.names
    lines = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    size = PANEL_INCHES[0] * columns, PANEL_INCHES[1] * lines + 0.3
    figure = Figure(figsize=size, layout="constrained", dpi=DPI)
    panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True).flat)
    for axes, name in zip(panels, names, strict=False):
        _draw_measure(axes, name, measured)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(names) - columns) : len(names)]:
        axes.set_xlabel("alpha", fontsize=7)
        axes.tick_params(labelbottom=True)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=7
    )
    return figure


def _draw_measure(axes: Axes, name: str, measured: MeasuredSweep) -> None:
    alphas = measured.alphas
    found = [measured.estimate(alpha, name) for alpha in alphas]
    means = [each.mean for each in found]
    band = {"color": COLOR, "alpha": 0.12, "linewidth": 0, "label": "95 %"}
    axes.fill_between(alphas, [each.low for each in found], [each.high for each in found], **band)
    axes.plot(alphas, means, color=COLOR, linewidth=1.1)
    style = {"linestyle": "", "markersize": 3.5, "markeredgewidth": 0.8}
    both = " and ".join(PARENTS[int(parent)][0] for parent in measured.parents)
    for differs, face, label in ((True, COLOR, f"differs from {both}"), (False, "white", "does not")):
        chosen = [
            number
            for number, alpha in enumerate(alphas)
            if alpha not in measured.parents and measured.differs_from_parents(alpha, name) == differs
        ]
        points = [alphas[number] for number in chosen], [means[number] for number in chosen]
        axes.plot(*points, marker="o", color=COLOR, markerfacecolor=face, label=label if both else None, **style)
    for parent in measured.parents:
        label, color = PARENTS[int(parent)]
        level = measured.estimate(parent, name).mean
        axes.axhline(level, color=color, linestyle="--", linewidth=0.7, zorder=1)
        axes.plot(parent, level, marker="s", color=color, label=label, **style)
    axes.set_title(name, fontsize=8)
    axes.set_ylim(0, 1.08 * max(each.high for each in found) or 1)
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3, linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)
