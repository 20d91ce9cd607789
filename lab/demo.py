"""The whole pipeline on the lab, as `make demo` runs it: serve, sample, merge, convert, check, curate, plot.

Each step is the script a user would run, and its command is printed. Folders and settings are the scripts' defaults,
so afterwards each script runs with no arguments. What is there is not made again.

    python -m lab.demo
"""

import contextlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.problem_sets.selection import load_problems
from hindsight.servers.vllm_process import ServeOptions, divide_threads, start, stop, wait_until_up
from hindsight.settings import Settings, run_script

# fmt: off
RUNS_DIR = "runs/lab"  # gets a run folder each for base, instruct, switching and the merged model
ALPHA = 0.7            # of the merged model
NUM_SAMPLES = 10       # answers per problem
END_IDX = 90           # one past the last problem of a split, thirty of each group; 0: all
BASE_URL = ""          # a server of the base model that is running, as lab-base; empty: one is started
INSTRUCT_URL = ""      # a server of the instruct model that is running, as lab-instruct; empty: one is started
START_DEADLINE = 600   # seconds the servers may take to start
# fmt: on

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "lab" / "models"


def run_step(script: str, *flags: str, may_fail: bool = False) -> None:
    """Runs a script as a user would. With `may_fail`, items that failed and were said (exit status 1) end nothing."""
    print(f"\n$ python {shlex.join([script, *flags])}", flush=True)
    status = subprocess.run([sys.executable, script, *flags], cwd=ROOT).returncode
    if status != 0 and not (may_fail and status == 1):
        raise UserError(f"{script} ended with status {status}")


@contextlib.contextmanager
def serving(models: dict[str, Path], running: dict[str, str], deadline: float) -> Iterator[list[str]]:
    """Addresses of vLLM servers of several models: those that are running already; the others, started together."""
    missing = [name for name in models if not running.get(name)]
    if missing:
        print(f"\nstarting vLLM for {' and '.join(missing)} (a minute or two)", flush=True)
    servers = {name: start(models[name], name, ServeOptions(threads=divide_threads(len(models)))) for name in missing}
    try:
        for server in servers.values():
            wait_until_up(server, deadline)
        yield [servers[name].url if name in servers else running[name] for name in models]
    finally:
        for server in servers.values():
            stop(server)


def sample_parents(runs: Path, flags: list[str], running: dict[str, str], deadline: float) -> None:
    """Answers by the base model, by the instruct model, and by both in turns."""
    models = {"lab-base": MODELS / "base", "lab-instruct": MODELS / "instruct"}
    with serving(models, running, deadline) as (base, instruct):
        common = ["single_model_inference.py", *flags, "--model"]
        run_step(*common, "base", "--base_urls", base, "--output_dir", str(runs / "base"))
        run_step(*common, "instruct", "--base_urls", instruct, "--output_dir", str(runs / "instruct"))
        addresses = ["--base_model_urls", base, "--instruct_model_urls", instruct]
        run_step("switching_inference.py", *flags, *addresses, "--output_dir", str(runs / "switching"))


def sample_merged(runs: Path, flags: list[str], alpha: float, deadline: float) -> None:
    """Answers by the merged model, to the test problems and to the training problems."""
    name, merged, parents = f"alpha_{alpha:g}", runs / "merged", ["lab/models/base", "lab/models/instruct"]
    run_step("merge_models.py", "--alphas", str(alpha), "--output_dir", str(merged))
    with serving({f"lab-{name}": merged / name}, {}, deadline) as (address,):
        model = ["--model", "instruct", "--instruct_model", f"lab-{name}", "--base_urls", address]
        model += ["--merged_from", *parents, str(alpha)]
        for split, folder in (("test", runs / name), ("train", training_run(runs, alpha))):
            run_step("single_model_inference.py", *flags, *model, "--split", split, "--output_dir", str(folder))


def training_run(runs: Path, alpha: float) -> Path:
    """Where the merged model's answers to the training problems go: those that a dataset may be made of."""
    return runs / f"alpha_{alpha:g}_train"


def is_sampled(folder: Path, samples: int) -> bool:
    """Whether a run has all of its samples, so that no server is needed for it."""
    return folder.is_dir() and len(list_files(folder, "sample")) >= samples


def main(settings: Settings) -> int:
    begun = time.monotonic()
    runs, merged = Path(settings.runs_dir).absolute(), f"alpha_{settings.alpha:g}"
    runs = runs.relative_to(ROOT) if runs.is_relative_to(ROOT) else runs
    problems, training = (
        len(load_problems("lab", split, with_tests=False)[: settings.end_idx or None]) for split in ("test", "train")
    )
    samples, train = problems * settings.num_samples, training_run(runs, settings.alpha)
    flags = ["--num_samples", str(settings.num_samples), "--end_idx", str(settings.end_idx)]
    print(f"The lab: {problems} problems, {settings.num_samples} answers each, by four models, into {runs}", flush=True)
    folders = {name: runs / name for name in ("base", "switching", merged, "instruct")}
    if not all(is_sampled(ROOT / folders[name], samples) for name in ("base", "switching", "instruct")):
        running = {"lab-base": settings.base_url, "lab-instruct": settings.instruct_url}
        sample_parents(runs, flags, running, settings.start_deadline)
    if not (is_sampled(ROOT / folders[merged], samples) and is_sampled(ROOT / train, training * settings.num_samples)):
        sample_merged(runs, flags, settings.alpha, settings.start_deadline)
    for folder in (*folders.values(), train):
        run_step("format_converter.py", "--input_dir", str(folder), may_fail=True)
        run_step("check_converted_samples.py", "--input_dir", str(folder))
    run_step("convert_to_data.py", "--input_dirs", str(train), "--output_dir", str(runs / "data"))
    ks = [str(k) for k in range(1, settings.num_samples + 1)]
    plot = ["--ks", *ks, "--output", str(runs / "pass_at_k"), "--input_dirs", *map(str, folders.values())]
    run_step("pass_at_k_plot.py", *plot)
    files = json.loads((ROOT / runs / "data" / "hindsight.report.json").read_text(encoding="utf-8"))["files"]
    rows = sum(file["rows"] for file in files.values())
    print(f"\nDone in {time.monotonic() - begun:.0f} s. Everything is in {runs}, a folder a run.")
    print(f"The dataset ({rows} rows): {runs / 'data'}. The curves: {runs / 'pass_at_k.png'}")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
