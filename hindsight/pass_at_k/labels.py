"""What a run is called in figures: its label, and the alpha of a merged model."""

import re
from pathlib import Path

from hindsight.files.runs import read_run


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
