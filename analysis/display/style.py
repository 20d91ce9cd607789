"""The style of the notebooks' figures. A run has one colour and marker in all of them and in pass_at_k_plot.py's."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hindsight.pass_at_k.drawing import line_style
from hindsight.pass_at_k.estimators import Estimate
from hindsight.pass_at_k.labels import alpha_in

NUMBERS = {"base": 0, "start": 0, "switching": 1, "finetuned": 1, "instruct": 2}  # of runs without an alpha
BLUE, RED, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#999999"  # Okabe and Ito 2008
DPI = 100


def style_of(label: str, number: int = 0) -> dict[str, Any]:
    """Colour, line and marker of a run by its name, or by `number` for an unknown name."""
    alpha = alpha_in(label)
    return line_style(alpha, NUMBERS.get(label, number + 3) if alpha is None else 0)


def color_of(label: str, number: int = 0) -> Any:
    """A run's colour by its name, or by `number` for an unknown name."""
    return style_of(label, number)["color"]


def new_figure(width: float, height: float, columns: int = 1, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of the given size, in inches, with a row of plain axes."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    panels = list(figure.subplots(1, columns, squeeze=False, sharey=sharey)[0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize="small")
    return figure, panels


def add_legend(axes: Axes) -> None:
    """A legend to the right of the axes."""
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def add_label(axes: Axes, text: str, place: tuple[float, float], points: int = 3, **more: Any) -> None:
    """A small text, centred `points` above a place."""
    axes.annotate(text, place, (0, points), textcoords="offset points", ha="center", fontsize="x-small", **more)


def count_in_integers(*axes: Any) -> None:
    """Ticks at whole numbers only, on an x or y axis."""
    for axis in axes:
        axis.get_major_locator().set_params(integer=True)


def error_bars(estimates: Iterable[Estimate]) -> np.ndarray:
    """The lengths of the intervals below and above the means, [2, estimates]."""
    return np.array([[each.mean - each.low, each.high - each.mean] for each in estimates]).T
