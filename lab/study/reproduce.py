"""Measures the lab's claim: samples all settings of `lab.study.settings_grid` by the repository's scripts.

For each training seed it serves the two models with vLLM, and all merges of a method by one server, whose dial is set
from alpha to alpha. It samples, converts and checks each setting's answers (steps 1 to 3), measures them
(`lab.study.measure`), and draws the figures and tables of `lab.study.report`. The models of seed 0 are the lab's; those
of other seeds and the shorter fine-tunings are trained first. Run it again after a stop: it resumes with whatever is
missing.

    python -m lab.study.reproduce
    python -m lab.study.reproduce --everything --seeds 0 1 2
"""

import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from hindsight.pipeline import ROOT, SamplingRun, convert_and_check, in_lanes, run_step, sample_runs
from hindsight.problem_sets.selection import select_problems
from hindsight.settings import Settings, run_script
from lab.study.measure import measure_run
from lab.study.plan import StudyOptions, StudyRun, plan_runs
from lab.study.report import write_report
from lab.study.results import collect

# fmt: off
SEEDS = [0]                    # training seeds
EVERYTHING = False             # every alpha, method, temperature and control, not only the main ones
OUTPUT_DIR = "runs/reproduce"  # one folder per seed, in it one per setting; the report
MODELS_DIR = "lab/models"      # the checkpoints of seed 0; those of other seeds go into OUTPUT_DIR/models
PROBLEMS = "lab"               # the problem set
SPLIT = "test"                 # its part; dev for a development set
END_IDX = 0                    # one past the last problem; 0: all
NUM_SAMPLES = 20               # answers per problem
ONLY = []                      # sample only these settings, by name, and report nothing; empty: all
START_DEADLINE = 600           # seconds a server may take to start
MAX_TOKENS = 160               # longest answer, in tokens; answers in the format have up to 100
LANES = 2                      # servers at once: while one starts, the other answers
CONCURRENCY = 1024             # requests in flight, per server
# fmt: on

# In CPU seconds; the lab's programs end in milliseconds or never.
CHECK_FLAGS = ("--timeout", "0.3")


class Progress:
    """Prints a line for each finished run, with an estimate of the time left."""

    def __init__(self, runs: Sequence[StudyRun]):
        self.runs, self.begun, self.finished = runs, time.monotonic(), 0

    def report(self, run: StudyRun, seconds: float) -> None:
        self.finished += 1
        left = sum(not each.is_measured() for each in self.runs)
        rest = self.minutes() / self.finished * left
        print(
            f"seed {run.seed}, {run.setting.name}: {run.options.answers} answers sampled in {seconds:.0f} s; "
            f"{len(self.runs) - left} of {len(self.runs)} settings done, about {rest:.0f} minutes left",
            flush=True,
        )

    def minutes(self) -> float:
        return (time.monotonic() - self.begun) / 60


def train_missing(runs: Sequence[StudyRun]) -> None:
    """Trains the missing models of the runs: each seed's two, and the shorter fine-tunings."""
    for run in runs:
        train, log = ("-m", "lab.training.train_models", "--seed", str(run.seed)), run.folder.parent / "training.log"
        if not (run.models / "instruct" / "config.json").exists():
            print(f"seed {run.seed}: training both models, about six minutes", flush=True)
            output = run.models.parent if run.seed else run.models
            run_step(*train, "--output_dir", str(output), log=log)
        steps = run.setting.steps
        if steps and not (run.early_models / "instruct" / "config.json").exists():
            print(f"seed {run.seed}: fine-tuning for {steps} steps", flush=True)
            shutil.copytree(run.models / "base", run.early_models / "base", dirs_exist_ok=True)
            run_step(*train, "--instruct_steps", str(steps), "--output_dir", str(run.early_output), log=log)


def make_runs(runs: Sequence[StudyRun], progress: Progress, lanes: int, start_deadline: float) -> None:
    """Makes the missing runs, those of one server together, `lanes` servers at a time; SLERP comes last."""
    missing = sorted((run for run in runs if not run.is_measured()), key=lambda run: run.setting.method == "slerp")
    groups = [list(group) for _, group in groupby(missing, key=lambda run: (run.seed, run.setting.served))]
    train_missing(missing)
    for _ in in_lanes(partial(make_group, progress=progress, start_deadline=start_deadline), groups, lanes):
        pass


def make_group(group: Sequence[StudyRun], progress: Progress, start_deadline: float) -> None:
    """Makes the runs of one server: each is sampled, then converted, checked and measured before the next."""
    by_folder = {run.folder: run for run in group}

    def finish(sampled: SamplingRun, _: int, seconds: float) -> None:
        run = by_folder[sampled.folder]
        convert_and_check(run.folder, run.log, check_flags=CHECK_FLAGS)
        measure_run(run.folder, run.answering_model)
        progress.report(run, seconds)

    sample_runs(group[0].served_models(), [run.sampling_run() for run in group], start_deadline, finish)


def main(settings: Settings) -> int:
    os.chdir(ROOT)  # the recorded folders are then the same, wherever this is called from
    output, models = Path(settings.output_dir), Path(settings.models_dir)
    problem_count = len(select_problems(settings.problems, settings.split)[: settings.end_idx or None])
    options = settings.pick(StudyOptions, output=output, models=models, problem_count=problem_count)
    runs = plan_runs(options, settings.everything, settings.seeds, settings.only)
    print(
        f"{problem_count} problems, {options.num_samples} answers each, {len(runs)} settings, into {output}", flush=True
    )
    progress = Progress(runs)
    make_runs(runs, progress, options.lanes, settings.start_deadline)
    if not settings.only:
        print(write_report(collect(output, settings.seeds), output))
    print(f"Done in {progress.minutes():.0f} minutes.")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
