"""The figure of next-token entropy along one answer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.display.style import add_label, add_legend, color_of, new_figure


def draw_entropies(entropies: dict[str, np.ndarray], tokens: Sequence[str], named: int = 6) -> Figure:
    """Next-token entropy along one answer by checkpoint; the first one's `named` highest peaks show their token."""
    figure, (axes,) = new_figure(8.5, 3)
    for number, (name, values) in enumerate(entropies.items()):
        axes.plot(values, color=color_of(name, number), linewidth=1, label=name)
    values = next(iter(entropies.values()))
    for position in find_peaks(values, named, apart=max(len(values) // 20, 1)):
        add_label(axes, repr(tokens[position]), (position, values[position]))
    axes.set(xlabel="position in the answer, tokens", ylabel="entropy before the token, nats")
    axes.margins(x=0.02, y=0.12)  # room for the names
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
