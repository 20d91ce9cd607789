"""The whole pipeline on the lab, as `make demo` runs it: serve, sample, merge, convert, check, curate, plot.

Each step is the script that a user runs, and its command is printed. The folders are the scripts' defaults. Run it
again after a stop: it resumes with whatever is missing.

    python -m lab.demo
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from hindsight.pipeline import ROOT, SamplingRun, ServedModel, convert_and_check, run_step, sample_runs
from hindsight.problem_sets.selection import select_problems
from hindsight.servers.vllm_process import ServeOptions, divide_threads
from hindsight.settings import Settings, run_script

# fmt: off
RUNS_DIR = "runs/lab"  # gets one run folder each for base, instruct, switching and the merged model
ALPHA = 0.7            # alpha of the merged model
NUM_SAMPLES = 10       # answers per problem
END_IDX = 90           # one past the last problem of a split, thirty of each group; 0: all
BASE_URL = ""          # a running server of the base model, as lab-base; empty: start one
INSTRUCT_URL = ""      # a running server of the instruct model, as lab-instruct; empty: start one
START_DEADLINE = 600   # seconds the servers may take to start
# fmt: on

BASE, INSTRUCT = "lab/models/base", "lab/models/instruct"


@dataclass(frozen=True)
class DemoOptions:
    """How much to sample, and with which servers: settings of this script."""

    alpha: float
    num_samples: int
    end_idx: int
    base_url: str
    instruct_url: str
    start_deadline: float

    @property
    def merged(self) -> str:
        """The merged model's name as a folder."""
        return f"alpha_{self.alpha:g}"

    def count_problems(self, split: str) -> int:
        return len(select_problems("lab", split)[: self.end_idx or None])

    def sampling_run(self, folder: Path, flags: list[str], models: dict[str, str], split: str = "test") -> SamplingRun:
        """A run of step 1a, or of step 1b for two models."""
        script = "single_model_inference.py" if len(models) == 1 else "switching_inference.py"
        common = ("--num_samples", str(self.num_samples), "--end_idx", str(self.end_idx))
        return SamplingRun(folder, self.count_problems(split), self.num_samples, script, (*common, *flags), models)


def sample_parents(runs: Path, options: DemoOptions) -> None:
    """Samples the base model, the instruct model, and both taking turns."""
    each = ServeOptions(threads=divide_threads(2))
    base = ServedModel("lab-base", ROOT / BASE, each, options.base_url)
    instruct = ServedModel("lab-instruct", ROOT / INSTRUCT, each, options.instruct_url)
    both = {"--base_model_urls": base.name, "--instruct_model_urls": instruct.name}
    sampling = [
        options.sampling_run(runs / "base", ["--model", "base"], {"--base_urls": base.name}),
        options.sampling_run(runs / "instruct", ["--model", "instruct"], {"--base_urls": instruct.name}),
        options.sampling_run(runs / "switching", [], both),
    ]
    sample_runs([base, instruct], sampling, options.start_deadline)


def sample_merged(runs: Path, training: Path, options: DemoOptions) -> None:
    """Merges, and samples the merged model on the test problems and on the training problems."""
    checkpoint, alpha = runs / "merged" / options.merged, str(options.alpha)
    model = ServedModel(f"lab-{options.merged}", ROOT / checkpoint, ServeOptions(threads=divide_threads(1)))
    flags = ["--model", "instruct", "--instruct_model", model.name, "--merged_from", BASE, INSTRUCT, alpha, "--split"]
    urls = {"--base_urls": model.name}
    sampling = [
        options.sampling_run(runs / options.merged, [*flags, "test"], urls),
        options.sampling_run(training, [*flags, "train"], urls, "train"),
    ]
    if not all(run.is_complete() for run in sampling):
        run_step("merge_models.py", "--alphas", alpha, "--output_dir", str(checkpoint.parent))
    sample_runs([model], sampling, options.start_deadline)


def main(settings: Settings) -> int:
    begun, options = time.monotonic(), settings.pick(DemoOptions)
    runs = Path(settings.runs_dir).absolute()
    runs = runs.relative_to(ROOT) if runs.is_relative_to(ROOT) else runs
    folders = [runs / name for name in ("base", "switching", options.merged, "instruct")]
    training = runs / f"{options.merged}_train"  # the dataset is made from these answers
    problems = options.count_problems("test")
    print(f"The lab: {problems} problems, {options.num_samples} answers each by four models, into {runs}", flush=True)
    sample_parents(runs, options)
    sample_merged(runs, training, options)
    for folder in (*folders, training):
        convert_and_check(folder)
    run_step("convert_to_data.py", "--input_dirs", str(training), "--output_dir", str(runs / "data"))
    ks = map(str, range(1, options.num_samples + 1))
    plot = ["--ks", *ks, "--output", str(runs / "pass_at_k"), "--input_dirs", *map(str, folders)]
    run_step("pass_at_k_plot.py", *plot)
    files = json.loads((ROOT / runs / "data" / "hindsight.report.json").read_text(encoding="utf-8"))["files"]
    rows = sum(file["rows"] for file in files.values())
    print(f"\nDone in {time.monotonic() - begun:.0f} s. {runs} holds one folder per run.")
    print(f"The dataset ({rows} rows): {runs / 'data'}. The curves: {runs / 'pass_at_k.png'}")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
