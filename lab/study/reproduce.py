"""The lab's claim measured: samples every setting of `lab.study.settings_grid` with the product's own scripts, and reports.

For each training seed it serves the two models with vLLM, merged ones by the load-time merge, so that no merged
checkpoint is ever written; samples, converts and checks each setting's answers by steps 1 to 3; measures them
(`lab.study.measure`) and draws the figures and tables of `lab.study.report`. The models of seed 0 are the lab's; those of other
seeds, and the shorter fine-tunings, are trained first. What is there is not made again: run it again after a kill.

    python -m lab.study.reproduce
    python -m lab.study.reproduce --everything --seeds 0 1 2
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hindsight.errors import UserError, require
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_record
from hindsight.problem_sets.selection import load_problems
from hindsight.servers.vllm_process import ServeOptions, VllmProcess, divide_threads, start, stop, wait_until_up
from hindsight.settings import Settings, run_script
from lab.study.measure import MEASURED, measure_run
from lab.study.report import report
from lab.study.results import collect
from lab.study.settings_grid import Setting, list_settings

if TYPE_CHECKING:  # it loads torch and transformers, for seconds
    from analysis.measures.next_token_entropy import Source

# fmt: off
SEEDS = [0]                    # training seeds
EVERYTHING = False             # every alpha, method, temperature and control, not the main ones alone
OUTPUT_DIR = "runs/reproduce"  # a folder a seed, of it one a setting; the report
MODELS_DIR = "lab/models"      # the checkpoints of seed 0; those of other seeds go into OUTPUT_DIR/models
PROBLEMS = "lab"               # the problem set
SPLIT = "test"                 # its part; dev for a development set
END_IDX = 0                    # one past the last problem; 0: all
NUM_SAMPLES = 20               # answers per problem
ONLY = []                      # names of settings: no other is sampled, and nothing is reported; empty: all
START_DEADLINE = 600           # seconds a server may take to start
# fmt: on

ROOT = Path(__file__).resolve().parents[2]
MAX_TOKENS = "160"  # of an answer; clean ones have up to 100
LANES = 2  # servers at once: while one starts, the other answers
CONCURRENCY = "512"  # requests in flight


class Study:
    """The runs of a study: where they lie, what is missing, and how long the rest will take."""

    def __init__(self, settings: Settings):
        self.settings, self.output = settings, Path(settings.output_dir)
        found = load_problems(settings.problems, settings.split, with_tests=False)[: settings.end_idx or None]
        self.problems, self.samples = len(found), len(found) * settings.num_samples
        chosen = list_settings(settings.everything)
        names = [setting.name for setting in chosen]
        unknown = [name for name in settings.only if name not in names]
        require(not unknown, f"there is no setting {', '.join(unknown)} among {', '.join(names)}")
        chosen = [setting for setting in chosen if setting.name in (settings.only or (setting.name,))]
        self.plan = [(seed, setting) for seed in settings.seeds for setting in chosen]
        self.begun, self.done_here = time.monotonic(), 0

    def models(self, seed: int) -> Path:
        """The folder of a seed's checkpoints."""
        return Path(self.settings.models_dir) if seed == 0 else self.output / "models" / f"seed_{seed}"

    def folder(self, seed: int, setting: Setting) -> Path:
        return self.output / f"seed_{seed}" / setting.name

    def is_sampled(self, seed: int, setting: Setting) -> bool:
        folder = self.folder(seed, setting)
        return folder.is_dir() and len(list_files(folder, "sample")) >= self.samples

    def is_measured(self, seed: int, setting: Setting) -> bool:
        """Whether all answers that are wanted were measured; fewer may have been, by an earlier run."""
        path = self.folder(seed, setting) / MEASURED
        rows = read_record(path, ("problems",))["problems"] if path.exists() else []
        return len(rows) == self.problems and sum(row["samples"] for row in rows) == self.samples

    def say(self, seed: int, setting: Setting, seconds: float) -> None:
        """One line for a finished setting, with an estimate of what is left."""
        self.done_here += 1
        left = sum(not self.is_measured(*each) for each in self.plan)
        rest = (time.monotonic() - self.begun) / self.done_here * left / 60
        print(
            f"seed {seed}, {setting.name}: {self.samples} answers sampled in {seconds:.0f} s; "
            f"{len(self.plan) - left} of {len(self.plan)} settings done, about {rest:.0f} minutes left",
            flush=True,
        )


def run_step(log: Path, script: str, *flags: str, may_fail: bool = False) -> None:
    """Runs a script as a user would; what it says goes into a log file. Raises UserError when it fails.

    With `may_fail`, items that failed and were said (exit status 1) end nothing: answers that nobody can convert.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        command = [sys.executable, script, *flags]
        status = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT).returncode
    if status != 0 and not (may_fail and status == 1):
        raise UserError(f"{' '.join([script, *flags])} ended with status {status}; see {log}")


def train(study: Study, seed: int, settings: Sequence[Setting]) -> None:
    """Trains what is not there: a seed's two models, and its shorter fine-tunings."""
    models, log = study.models(seed), study.output / f"seed_{seed}" / "training.log"
    flags = ["--seed", str(seed), "--output_dir", str(models.parent if seed else models)]
    if not (models / "instruct" / "config.json").exists():
        print(f"seed {seed}: training both models, about six minutes", flush=True)
        run_step(log, "-m", "lab.training.train_models", *flags)
    for setting in settings:
        folder = early_models(study, seed, setting)
        if setting.steps and not (folder / "instruct" / "config.json").exists():
            print(f"seed {seed}: fine-tuning for {setting.steps} steps", flush=True)
            shutil.copytree(models / "base", folder / "base", dirs_exist_ok=True)
            run_step(
                log,
                "-m",
                "lab.training.train_models",
                "--seed",
                str(seed),
                "--instruct_steps",
                str(setting.steps),
                "--output_dir",
                str(study.output / "models" / f"early_{setting.steps}"),
            )


def early_models(study: Study, seed: int, setting: Setting) -> Path:
    """The folder of a shorter fine-tuning's checkpoints, where `lab.training.train_models` puts a seed's."""
    return study.output / "models" / f"early_{setting.steps}" / (f"seed_{seed}" if seed else "")


def start_servers(study: Study, seed: int, setting: Setting) -> dict[str, VllmProcess]:
    """Starts what a setting asks: the base and the instruct model, or one model."""
    models, options = study.models(seed), ServeOptions(max_model_len=512, threads=divide_threads(LANES))
    base, instruct = models / "base", models / "instruct"
    if setting.served == ("parents",):
        return {name: start(models / name, f"lab-{name}", options) for name in ("base", "instruct")}
    if setting.steps:
        return {"": start(early_models(study, seed, setting) / "instruct", setting.name, options)}
    merge = {"base": str(base), "alpha": setting.alpha, "method": setting.method}
    return {"": start(instruct, setting.name, dataclasses.replace(options, merge=merge))}


def sample(study: Study, seed: int, setting: Setting, servers: dict[str, VllmProcess]) -> None:
    """Steps 1a and 1b. A base model in chat is asked as an instruct model is."""
    settings, temperature = study.settings, str(setting.temperature)
    flags = ["--problems", settings.problems, "--split", settings.split, "--end_idx", str(settings.end_idx)]
    flags += ["--num_samples", str(settings.num_samples), "--output_dir", str(study.folder(seed, setting))]
    flags += ["--concurrency", CONCURRENCY, "--server_deadline", "60"]
    flags += ["--base_top_p", "1", "--instruct_top_p", "1"]
    flags += ["--base_temperature", temperature, "--instruct_temperature", temperature]
    if setting.kind == "switching":
        script, (k, p) = "switching_inference.py", setting.turns
        flags += ["--k", k, "--p", p, "--total_new_tokens", MAX_TOKENS]
        flags += ["--base_model_urls", servers["base"].url, "--instruct_model_urls", servers["instruct"].url]
    else:
        script, server = "single_model_inference.py", servers[parent_of(setting) if len(servers) > 1 else ""]
        flags += ["--max_tokens", MAX_TOKENS, "--base_urls", server.url]
        flags += ["--model", "base" if setting.kind == "base" else "instruct"]
        flags += ["--base_model" if setting.kind == "base" else "--instruct_model", server.name]
        if setting.served[0] == "merge":
            models = study.models(seed)
            flags += ["--merged_from", str(models / "base"), str(models / "instruct"), str(setting.alpha)]
    run_step(study.folder(seed, setting) / "log.txt", script, *flags)


def parent_of(setting: Setting) -> str:
    return "instruct" if setting.alpha == 1 else "base"


def judge(study: Study, seed: int, setting: Setting) -> None:
    """Steps 2 and 3, and the setting's measures."""
    folder = study.folder(seed, setting)
    run_step(folder / "log.txt", "format_converter.py", "--input_dir", str(folder), may_fail=True)
    run_step(folder / "log.txt", "check_converted_samples.py", "--input_dir", str(folder))
    measure_run(folder, source_of(study, seed, setting))


def source_of(study: Study, seed: int, setting: Setting) -> "Source | None":
    """The model that wrote a setting's answers, as `analysis.measures.next_token_entropy` loads it; None: there were two."""
    from analysis.measures.next_token_entropy import Merge

    models = study.models(seed)
    if setting.kind == "switching":
        return None
    if setting.steps:
        return early_models(study, seed, setting) / "instruct"
    if setting.served == ("parents",):
        return models / parent_of(setting)
    return Merge(models / "base", models / "instruct", setting.alpha, setting.method)


@contextlib.contextmanager
def running(servers: dict[str, VllmProcess]) -> Iterator[dict[str, VllmProcess]]:
    try:
        yield servers
    finally:
        for server in servers.values():
            stop(server)


def run_all(study: Study) -> None:
    """Every setting that is missing, those of a server together, LANES servers at a time; SLERP comes last."""
    missing = [each for each in study.plan if not study.is_measured(*each)]
    missing.sort(key=lambda each: each[1].method == "slerp")
    groups = [list(group) for _, group in groupby(missing, key=lambda each: (each[0], each[1].served))]
    for seed in dict.fromkeys(seed for seed, _ in missing):
        train(study, seed, [setting for own, setting in missing if own == seed])
    with ThreadPoolExecutor(LANES) as pool:
        try:
            for future in as_completed([pool.submit(run_group, study, group) for group in groups]):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_group(study: Study, group: list[tuple[int, Setting]]) -> None:
    """The settings of one server. It ends before the last one's answers are judged."""
    (seed, first), seconds = group[0], {}
    if any(not study.is_sampled(*each) for each in group):
        with running(start_servers(study, seed, first)) as servers:
            for server in servers.values():
                wait_until_up(server, study.settings.start_deadline)
            for _, setting in group:
                begun = time.monotonic()
                if not study.is_sampled(seed, setting):
                    sample(study, seed, setting, servers)
                seconds[setting.name] = time.monotonic() - begun
    for _, setting in group:
        judge(study, seed, setting)
        study.say(seed, setting, seconds.get(setting.name, 0))


def main(settings: Settings) -> int:
    os.chdir(ROOT)  # what is recorded of folders is then the same wherever it is called from
    study = Study(settings)
    print(
        f"{study.problems} problems, {settings.num_samples} answers each, {len(study.plan)} settings, "
        f"into {study.output}",
        flush=True,
    )
    run_all(study)
    if not settings.only:
        report(collect(study.output, settings.seeds), study.output)
    print(f"Done in {(time.monotonic() - study.begun) / 60:.0f} minutes.")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
