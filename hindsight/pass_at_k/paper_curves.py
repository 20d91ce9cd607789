"""The paper's own Pass@k curves, a table of facts in `paper_curves.json` with their source, and the panels they are in.

{"mbppplus": {"about": "...", "source": "...", "ks": [1, ..., 10], "problems": 378, "samples_per_problem": 11,
              "panels": {"Vicuna-7B v1.5": {"base": [0.1873, ...], "alpha 0.7": [...], ...}, ...}}}
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import require
from hindsight.pass_at_k.labels import RunLabel, alpha_in

TABLE = Path(__file__).with_name("paper_curves.json")


@dataclass(frozen=True)
class PaperCurve:
    """One of the paper's curves: its label and panel, and pass@k as published, [ks]."""

    run: RunLabel
    ks: tuple[int, ...]
    mean: tuple[float, ...]


@dataclass(frozen=True)
class PaperFigure:
    """The curves of one of the paper's figures, panel by panel.

    about: what was measured, and how an answer counted; source: where the numbers were read.
    """

    about: str
    source: str
    problems: int
    samples: int
    curves: tuple[PaperCurve, ...]

    @property
    def panels(self) -> list[str]:
        """The names of its panels, in order."""
        return list(dict.fromkeys(curve.run.panel for curve in self.curves))

    def as_json(self) -> dict[str, Any]:
        """The figure's numbers, for the file of step 5."""
        curves = [
            {
                "label": curve.run.label,
                "panel": curve.run.panel,
                "alpha": curve.run.alpha,
                "values": {str(k): value for k, value in zip(curve.ks, curve.mean, strict=True)},
            }
            for curve in self.curves
        ]
        return {"about": self.about, "source": self.source, "curves": curves}


def read_paper_figure(name: str, ks: Sequence[int]) -> PaperFigure:
    """The figure with that name, at these ks. Raises UserError for an unknown name, or if it has none of the ks."""
    table = json.loads(TABLE.read_text("utf-8"))
    require(name in table, f"PAPER is {' or '.join(table)}, not {name!r}")
    entry = table[name]
    places = [place for place, k in enumerate(entry["ks"]) if k in ks]
    require(bool(places), f"the paper's curves have k from {entry['ks'][0]} to {entry['ks'][-1]}, not {list(ks)}")
    curves = [
        PaperCurve(
            RunLabel(label, panel, alpha_in(label)),
            tuple(entry["ks"][place] for place in places),
            tuple(values[place] for place in places),
        )
        for panel, by_label in entry["panels"].items()
        for label, values in by_label.items()
    ]
    samples = entry["problems"] * entry["samples_per_problem"]
    return PaperFigure(entry["about"], entry["source"], entry["problems"], samples, tuple(curves))
