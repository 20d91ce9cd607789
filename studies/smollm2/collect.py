"""The results of the study, from the measured runs."""

from collections.abc import Sequence
from typing import Any

from hindsight.files.records import read_record
from hindsight.files.runs import versions
from hindsight.pipeline import ROOT
from hindsight.problem_sets.selection import select_problems
from studies.smollm2.plan import StudyRun
from studies.smollm2.results import Results, Run
from studies.smollm2.training import DATASET
from studies.smollm2.work import Work


def collect(work: Work, recorded: dict[str, Any], done: Sequence[StudyRun]) -> Results:
    """The results so far: the recorded settings, what was chosen, and the counts of each measured run."""
    questions = {
        split: tuple(select_problems(str(work.options.problems(split))).question_ids)
        for split in ("validation", "test")
    }
    chosen = {
        "training": {
            kind: {"learning_rate": each.rate, "epochs": each.epochs} for kind, each in work.strengths.items()
        },
        "settings": {name: setting.name for name, setting in work.chosen.items()},
    }
    by_folder = {run.folder: run for run in done}
    runs = tuple(Run(each.split, each.setting, each.seed, each.counts()) for each in by_folder.values())
    about = recorded | {"dataset": _dataset(work), "versions": versions()}
    return Results(about, chosen, questions, runs)


def _dataset(work: Work) -> dict[str, Any]:
    """How many answers each filter of step 4 removed, and how many rows remain."""
    path = ROOT / work.options.output / "data" / f"{DATASET}.report.json"
    if not path.exists():
        return {}
    report = read_record(path)
    return {"counts": report["counts"], "rows": {name: file["rows"] for name, file in report["files"].items()}}
