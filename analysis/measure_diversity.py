"""How diverse the answers of runs are: each measure of analysis/measures/diversity.py with its 95 % interval, in one picture.

Reads the raw and converted answers of the runs, and the embeddings that analysis/embed.py made; without these the
measures of embeddings are left out. Only what every run answers is compared, on equal numbers of answers. Prints each
measure of each run and the paired difference of every two, and writes them as JSON and as a picture.

    python analysis/measure_diversity.py --input_dirs runs/lab/base runs/lab/instruct --labels base instruct
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script, and ours lie one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from analysis.embeddings.files import SOURCES
from analysis.measures.diversity import MEASURES, Measured, Vectors, measure_alike
from analysis.reading.answers import Answer, load_answers, load_embeddings, require_same_problems
from hindsight.errors import require
from hindsight.files import answer_files, records
from hindsight.files.runs import read_run
from hindsight.pass_at_k.drawing import PRINT_STYLE, line_style, save_figure
from hindsight.pass_at_k.estimators import Estimate
from hindsight.pass_at_k.labels import describe_run
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct"]  # run folders
LABELS = []                    # a name for each of INPUT_DIRS; empty: the alpha or model that run.json names
OUTPUT = "runs/lab/diversity"  # the files' name without .pdf, .png and .json
WHAT = "converted"             # the texts whose embeddings are compared: converted, generated or code
FORMATS = ["pdf", "png"]       # pictures: pdf, png, svg
WIDTH = 6.9                    # of the picture, in inches: 6.9 is two columns of a paper, 3.3 one
# fmt: on


@dataclass(frozen=True)
class Run:
    """A run with its answers and their embeddings; alpha: of a merged model, else None."""

    label: str
    folder: Path
    alpha: float | None
    answers: list[Answer]
    vectors: Vectors


def read_runs(settings: Settings) -> list[Run]:
    """The runs that INPUT_DIRS names. Raises UserError for what is missing or broken, and for labels that are alike."""
    labels = settings.labels or [""] * len(settings.input_dirs)
    require(len(labels) == len(settings.input_dirs), f"{len(labels)} labels for {len(settings.input_dirs)} INPUT_DIRS")
    runs = []
    for folder, label in zip(map(Path, settings.input_dirs), labels, strict=True):
        own, alpha = describe_run(folder)
        answers = load_answers(folder, label or own)
        vectors: Vectors = {}
        if answer_files.list_files(folder, "embedded"):
            vectors = load_embeddings(folder, settings.what)
        runs.append(Run(label or own, folder, alpha, answers, vectors))
    twice = [label for label, times in Counter(run.label for run in runs).items() if times > 1]
    require_same_problems({str(run.folder): run.answers for run in runs})
    require(not twice, f"two runs are called {', '.join(twice)}; give each of INPUT_DIRS a name by --labels")
    return runs


def require_one_embedding(runs: Sequence[Run]) -> None:
    """Raises UserError when runs were embedded by different models, as their run.json says."""
    models = {}
    for run in runs:
        step = (read_run(run.folder) or {"steps": {}})["steps"].get("embed.py")
        if run.vectors and step:
            models.setdefault(step["settings"]["embedding_model"], run.label)
    said = ", ".join(f"{label} by {model}" for model, label in models.items())
    require(len(models) < 2, f"embeddings of different models cannot be compared: {said}; embed all runs by one")


def remarks(runs: Sequence[Run], measured: dict[str, Measured]) -> list[str]:
    """What the measures rest on and what is left out, in sentences."""
    said = []
    for run in runs:
        counts = measured[run.label].counts
        said.append(
            f"{run.label}: of {len(run.answers)} answers {counts['texts']} are compared, "
            f"{counts['programs']} of them by their programs, {counts['embeddings']} by their embeddings"
        )
    for run in (run for run in runs if not run.vectors):
        said.append(f"{run.label} has no embeddings; make them by: python analysis/embed.py --input_dir {run.folder}")
    missing = [name for name in MEASURES if name not in measured[runs[0].label].estimates()]
    if missing:
        said.append(f"left out, as not every run has two of what they compare: {', '.join(missing)}")
    return said


def table(estimates: dict[str, dict[str, Estimate]], sign: str = "") -> str:
    """Estimates as text: a row a measure, a column a run, and on how many problems."""
    first = next(iter(estimates.values()))
    columns = [["measure", *first]]
    columns += [[label, *(each.text(sign) for each in found.values())] for label, found in estimates.items()]
    columns.append(["problems", *(str(each.problems) for each in first.values())])
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )


def differences(measured: dict[str, Measured]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """The paired differences of every two runs: by the earlier run, which is subtracted, by the later, by measure."""
    labels = list(measured)
    return {
        other: {one: measured[one].minus(measured[other]) for one in labels[place + 1 :]}
        for place, other in enumerate(labels[:-1])
    }


def as_json(
    runs: Sequence[Run],
    measured: dict[str, Measured],
    estimates: dict[str, dict[str, Estimate]],
    found: dict[str, dict[str, dict[str, Estimate]]],
) -> dict[str, Any]:
    """The numbers: what they are, and what they rest on."""
    return {
        "measures": MEASURES,
        "runs": [
            {
                "label": run.label,
                "folder": str(run.folder),
                "alpha": run.alpha,
                "answers": len(run.answers),
                "compared": measured[run.label].counts,
                "estimates": {name: asdict(each) for name, each in estimates[run.label].items()},
            }
            for run in runs
        ],
        "differences": [
            {"one": one, "other": other, "measure": name, **asdict(each)}
            for other, by_run in found.items()
            for one, by_measure in by_run.items()
            for name, each in by_measure.items()
        ],
    }


def draw(runs: Sequence[Run], estimates: dict[str, dict[str, Estimate]], settings: Settings) -> None:
    """The picture, as OUTPUT in each format."""
    from matplotlib import rc_context  # here, as bad input is said sooner without it

    from analysis.display.figures import draw_measures

    others = [run for run in runs if run.alpha is None]
    looks = {run.label: line_style(run.alpha, others.index(run) if run in others else 0) for run in runs}
    with rc_context(PRINT_STYLE):
        figure = draw_measures(estimates, looks, settings.width)
        save_figure(figure, Path(settings.output), [f".{name}" for name in settings.formats])


def main(settings: Settings) -> int:
    require(bool(settings.input_dirs), "give at least one folder by --input_dirs")
    require(settings.what in SOURCES, f"WHAT is one of {', '.join(SOURCES)}, not {settings.what!r}")
    require(settings.width >= 1.65, f"WIDTH is at least 1.65 inches, a panel's, not {settings.width}")
    unknown = set(settings.formats) - {"pdf", "png", "svg"}
    require(not unknown, f"FORMATS are pdf, png and svg, not {', '.join(sorted(unknown))}")
    runs = read_runs(settings)
    require_one_embedding(runs)
    answers = {run.label: run.answers for run in runs}
    watch = partial(tqdm, unit="problem", leave=False)
    measured = measure_alike(answers, {run.label: run.vectors for run in runs}, watch)
    estimates = {label: each.estimates() for label, each in measured.items()}
    found, output = differences(measured), Path(settings.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(runs, estimates, settings)
    numbers = as_json(runs, measured, estimates, found)
    records.write_json(output.with_name(f"{output.name}.json"), {"settings": dict(settings), **numbers})
    print(table(estimates))
    for other, by_run in found.items():
        print(f"\ndifference to {other}, paired by problem\n{table(by_run, '+')}")
    print("\n".join(["", *remarks(runs, measured)]))
    print(f"picture: {', '.join(f'{output}.{name}' for name in settings.formats)}; numbers: {output}.json")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
