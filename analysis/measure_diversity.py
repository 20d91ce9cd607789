"""Measures how diverse the answers of runs are, by the measures of analysis/measures/diversity.py, with intervals.

Reads the raw and converted answers of the runs and the embeddings that analysis/embed.py made; without embeddings, the
measures that need them are left out. Compares only problems that every run answers, on equal numbers of answers. Prints
each measure of each run and the paired difference of every two runs, and writes them as JSON and as a picture.

    python analysis/measure_diversity.py --input_dirs runs/lab/base runs/lab/instruct --labels base instruct
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from analysis.embeddings.files import SOURCES
from analysis.measures.diversity import MEASURES, RunDiversity, measure_runs
from analysis.reading.answers import Answer, load_answers, require_same_problems
from analysis.reading.vectors import Vectors, load_embeddings
from hindsight.errors import require
from hindsight.files import answer_files, records
from hindsight.files.runs import read_run
from hindsight.pass_at_k.drawing import PRINT_STYLE, line_style, require_output, save_figure, suffixes_of
from hindsight.pass_at_k.estimators import Estimate
from hindsight.pass_at_k.labels import RunLabel, describe_run, tell_apart
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct"]  # run folders
LABELS = []                    # a name for each of INPUT_DIRS; empty: the alpha or model in its run.json
OUTPUT = "runs/lab/diversity"  # the path without .pdf, .png and .json
WHAT = "converted"             # texts whose embeddings are compared: converted, generated or code
FORMATS = ["pdf", "png"]       # pictures: pdf, png, svg
WIDTH = 6.9                    # width of the picture in inches: 6.9 is two columns of a paper, 3.3 one
# fmt: on

Estimates = dict[str, dict[str, Estimate]]  # by run and measure


@dataclass(frozen=True)
class Options:
    """The settings of the script, checked."""

    input_dirs: tuple[str, ...]
    labels: tuple[str, ...]
    output: str
    what: str
    formats: tuple[str, ...]
    width: float

    def __post_init__(self) -> None:
        require(bool(self.input_dirs), "give at least one folder by --input_dirs")
        count = len(self.labels or self.input_dirs)
        require(count == len(self.input_dirs), f"{count} labels for {len(self.input_dirs)} INPUT_DIRS")
        require(self.what in SOURCES, f"WHAT is one of {', '.join(SOURCES)}, not {self.what!r}")
        require(self.width >= 1.65, f"WIDTH is at least 1.65 inches, the width of one panel, not {self.width}")
        require_output(self.output)
        suffixes_of(self.formats)


@dataclass(frozen=True)
class LabelledRun:
    """A run with its answers and their embeddings; alpha: of a merged model, else None."""

    label: str
    folder: Path
    alpha: float | None
    answers: list[Answer]
    vectors: Vectors


def read_runs(options: Options) -> list[LabelledRun]:
    """The runs in INPUT_DIRS; equal labels are made distinct. Raises UserError when a run is missing or broken."""
    folders = list(map(Path, options.input_dirs))
    described = [RunLabel(label=label, alpha=alpha) for label, alpha in map(describe_run, folders)]
    if options.labels:
        described = [replace(run, label=label) for run, label in zip(described, options.labels, strict=True)]
    runs = []
    for run, folder in zip(tell_apart(described, folders), folders, strict=True):
        answers = load_answers(folder, run.label)
        vectors = load_embeddings(folder, options.what) if answer_files.list_files(folder, "embedded") else {}
        runs.append(LabelledRun(run.label, folder, run.alpha, answers, vectors))
    require_same_problems({str(run.folder): run.answers for run in runs})
    return runs


def require_one_embedding_model(runs: Sequence[LabelledRun]) -> None:
    """Raises UserError when runs were embedded by different models, by their run.json."""
    models = {}
    for run in runs:
        step = read_run(run.folder)["steps"].get("embed.py")
        if run.vectors and step:
            models.setdefault(step["settings"]["embedding_model"], run.label)
    names = ", ".join(f"{label} by {model}" for model, label in models.items())
    require(len(models) < 2, f"embeddings of different models cannot be compared: {names}; embed all runs by one")


def remarks(runs: Sequence[LabelledRun], measured: dict[str, RunDiversity]) -> list[str]:
    """Sentences on the number of answers behind the measures, and on measures that are left out."""
    sentences = []
    for run in runs:
        counts = measured[run.label].counts
        sentences.append(
            f"{run.label}: compared {counts['texts']} of {len(run.answers)} answers, "
            f"{counts['programs']} by their programs, {counts['embeddings']} by their embeddings"
        )
    for run in (run for run in runs if not run.vectors):
        command = f"python analysis/embed.py --input_dirs {run.folder}"
        sentences.append(f"{run.label} has no embeddings; make them with: {command}")
    missing = [name for name in MEASURES if name not in measured[runs[0].label].estimates()]
    if missing:
        sentences.append(f"left out, as a run lacks two answers to compare per problem: {', '.join(missing)}")
    return sentences


def table(estimates: Estimates, sign: str = "") -> str:
    """Estimates as text: a row per measure, a column per run, and the number of problems."""
    first = next(iter(estimates.values()))
    columns = [["measure", *first]]
    columns += [[label, *(each.text(sign) for each in found.values())] for label, found in estimates.items()]
    columns.append(["problems", *(str(each.problems) for each in first.values())])
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )


def as_json(
    runs: Sequence[LabelledRun], measured: dict[str, RunDiversity], estimates: Estimates, found: dict[str, Estimates]
) -> dict[str, Any]:
    """The numbers for the JSON file, with the number of answers behind them."""
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


def draw(runs: Sequence[LabelledRun], estimates: Estimates, options: Options) -> None:
    """Saves the picture as OUTPUT in each format."""
    from matplotlib import rc_context  # here, so that bad input is reported before this slow import

    from analysis.display.diversity_figures import draw_measures

    others = [run for run in runs if run.alpha is None]
    styles = {run.label: line_style(run.alpha, others.index(run) if run in others else 0) for run in runs}
    with rc_context(PRINT_STYLE):
        figure = draw_measures(estimates, styles, options.width)
        save_figure(figure, Path(options.output), suffixes_of(options.formats))


def main(settings: Settings) -> int:
    options = settings.pick(Options)
    runs = read_runs(options)
    require_one_embedding_model(runs)
    answers = {run.label: run.answers for run in runs}
    watch = partial(tqdm, unit="problem", leave=False)
    measured = measure_runs(answers, {run.label: run.vectors for run in runs}, watch)
    estimates = {label: each.estimates() for label, each in measured.items()}
    labels, output = list(measured), Path(options.output)
    found = {  # by the earlier run, which is subtracted, the later run, and measure
        other: {one: measured[one].minus(measured[other]) for one in labels[place + 1 :]}
        for place, other in enumerate(labels[:-1])
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(runs, estimates, options)
    numbers = as_json(runs, measured, estimates, found)
    records.write_json(output.with_name(f"{output.name}.json"), {"settings": dict(settings), **numbers})
    print(table(estimates))
    for other, by_run in found.items():
        print(f"\ndifference to {other}, paired by problem\n{table(by_run, '+')}")
    print("\n".join(["", *remarks(runs, measured)]))
    print(f"picture: {', '.join(f'{output}.{name}' for name in options.formats)}; numbers: {output}.json")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
