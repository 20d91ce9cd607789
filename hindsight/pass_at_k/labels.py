"""What a run is called in tables and figures: its label, and the alpha of a merged model."""

import re
from dataclasses import dataclass
from pathlib import Path

from hindsight.files.runs import read_run


@dataclass(frozen=True)
class RunLabel:
    """A run's label, the panel that shows it ("" for the only one), and its alpha (None unless a merged model)."""

    label: str
    panel: str = ""
    alpha: float | None = None

    @property
    def name(self) -> str:
        """The label, with the panel where there are several."""
        return f"{self.label} ({self.panel})" if self.panel else self.label


def alpha_in(label: str) -> float | None:
    """The alpha at the end of a label such as "alpha 0.7", "Vicuna alpha=0.7" or "alpha_0.7", else None."""
    found = re.search(r"\balpha[ _=]*(0(?:\.\d+)?|1(?:\.0+)?|\.\d+)$", label, re.IGNORECASE)
    return float(found[1]) if found else None


def describe_run(folder: Path) -> tuple[str, float | None]:
    """A run's label and alpha by its run.json: "alpha 0.7", a model's name, or "switching"; else the folder's name."""
    run = read_run(folder)
    settings = run.get("settings") or {}
    if merged := settings.get("merged_from"):
        return f"alpha {float(merged[2]):g}", float(merged[2])
    if run.get("script") == "switching_inference.py":
        return "switching", None
    models = run.get("models") or []
    return (models[0] if len(models) == 1 else folder.name), None
