"""The label of a run in tables and figures, and the alpha of a merged model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hindsight.files.runs import alpha_of_run, read_run


@dataclass(frozen=True)
class RunLabel:
    """A run's label, its panel ("" for the only one), and the alpha of a merged model, if it has a single one."""

    label: str
    panel: str = ""
    alpha: float | None = None

    @property
    def name(self) -> str:
        """The label, with the panel if there are several."""
        return f"{self.label} ({self.panel})" if self.panel else self.label


def alpha_in(label: str) -> float | None:
    """The alpha at the end of a label such as "alpha 0.7", "Vicuna alpha=0.7" or "alpha_0.7", else None."""
    found = re.search(r"\balpha[ _=]*(0(?:\.\d+)?|1(?:\.0+)?|\.\d+)$", label, re.IGNORECASE)
    return float(found[1]) if found else None


def describe_run(folder: Path) -> tuple[str, float | None]:
    """A run's label and alpha by its run.json: "alpha 0.7", a model's name, or "switching"; else the folder's name.

    With alphas by part, the label is "alpha 0.7 (mlp:0.9)" and the alpha None.
    """
    run = read_run(folder)
    if alpha := alpha_of_run(run):
        number, *parts = alpha.split(maxsplit=1)
        return " ".join(["alpha", f"{float(number):g}", *parts]), None if parts else float(number)
    if run.get("script") == "switching_inference.py":
        return "switching", None
    models = run.get("models") or []
    return (models[0] if len(models) == 1 else folder.name), None


def tell_apart(runs: Sequence[RunLabel], paths: Sequence[Path]) -> list[RunLabel]:
    """The labels of runs in these folders or files, in order; no two of a panel are equal.

    What differs is added to equal labels until they differ: the temperature, the alpha, the folder, a number.
    """
    found = list(runs)
    for describe in (_temperatures, _alphas, _folders):
        for places in _equal(found):
            words = describe([runs[place] for place in places], [paths[place] for place in places])
            for place, word in zip(places, words if len(set(words)) > 1 else (), strict=False):
                found[place] = replace(found[place], label=", ".join(filter(None, (found[place].label, word))))
    for places in _equal(found):
        kept = next((place for place in places if found[place] == runs[place]), places[0])
        for place in (place for place in places if place != kept):
            taken, number = {(run.label, run.panel) for run in found}, 2
            while (label := f"{found[place].label} ({number})", found[place].panel) in taken:
                number += 1
            found[place] = replace(found[place], label=label)
    return found


def _equal(runs: Sequence[RunLabel]) -> Iterator[list[int]]:
    """The places of the runs that share a label and a panel."""
    names = [(run.label, run.panel) for run in runs]
    for name in dict.fromkeys(names):
        places = [place for place, other in enumerate(names) if other == name]
        if len(places) > 1:
            yield places


def _temperatures(_: Sequence[RunLabel], paths: Sequence[Path]) -> list[str]:
    """The temperatures in each run.json, "" if it has none: of the model that answered; in switching, of both."""
    words = []
    for path in paths:
        settings = read_run(path).get("settings") or {}
        roles = [settings["model"]] if settings.get("model") in ("base", "instruct") else ["base", "instruct"]
        known = [each for role in roles if (each := settings.get(f"{role}_temperature")) is not None]
        words.append(f"temperature {' and '.join(f'{float(each):g}' for each in known)}" if known else "")
    return words


def _alphas(runs: Sequence[RunLabel], _: Sequence[Path]) -> list[str]:
    return ["" if run.alpha is None else f"alpha {run.alpha:g}" for run in runs]


def _folders(_: Sequence[RunLabel], paths: Sequence[Path]) -> list[str]:
    """The shortest part of each path that tells the paths apart, without the end that all of them share."""
    parts = [path.absolute().parts for path in paths]
    if len(set(parts)) == 1:
        return [""] * len(parts)
    while len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    length = 1
    while len({each[-length:] for each in parts}) < len(set(parts)):
        length += 1
    return ["/".join(each[-length:]) for each in parts]
