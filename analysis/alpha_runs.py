"""Runs of one model at several alphas, on one server with a dial or with a model for each alpha."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.merging.alphas import AlphaRule
from hindsight.pipeline import ROOT, SamplingRun, ServedModel, convert_and_check, sample_runs
from hindsight.sampling.samples import ProblemChoice
from hindsight.servers.alpha_dial import Dial, read_dial
from hindsight.servers.vllm_process import ServeOptions
from hindsight.serving import check_merge

STEP = "single_model_inference.py"
SAME = ("problems", "split", "difficulty", "end_idx", "max_tokens")  # settings with the same names in step 1a


@dataclass(frozen=True)
class AlphaRuns:
    """Runs of one model at several alphas: the settings of the same names of the scripts that make them.

    output: OUTPUT_DIR, inside the repository relative to it, else absolute; num_samples: answers per problem.
    """

    base_model: str
    finetuned_model: str
    alphas: tuple[float, ...]
    method: str
    base_url: str
    served_name: str
    served_names: tuple[str, ...]
    output: Path
    num_samples: int
    max_model_len: int
    start_deadline: float
    wait_for_server: float

    def __post_init__(self) -> None:
        require(bool(self.alphas), "give at least one alpha by --alphas")
        require(all(0 <= alpha <= 1 for alpha in self.alphas), f"ALPHAS lie in [0, 1], not {list(self.alphas)}")
        require(len({f"{alpha:g}" for alpha in self.alphas}) == len(self.alphas), "ALPHAS contains an alpha twice")
        if self.served_names:
            count, alphas = len(self.served_names), len(self.alphas)
            require(count == alphas, f"SERVED_NAMES are {count} names for {alphas} of ALPHAS")
            require(bool(self.base_url), "SERVED_NAMES need a running server: give its address by --base_url")

    def folder(self, alpha: float) -> Path:
        """The run folder of an alpha."""
        return self.output / f"alpha_{alpha:g}"

    @property
    def parents(self) -> tuple[str, str]:
        """The base and the fine-tuned model to record with the answers. Raises UserError if the server has no dial."""
        dial = wait_for_dial(self.base_url, self.wait_for_server) if self.base_url else None
        if not self.base_url or self.served_names:
            return self.base_model, self.finetuned_model
        if dial is None:
            raise UserError(f"{self.base_url} has no dial (docs/sweep.md); or name a model per alpha by --served_names")
        return dial.base, dial.finetuned

    def models(self, first: float) -> list[ServedModel]:
        """The server's models; a server that is started has its dial at alpha `first`.

        Raises UserError if it could not merge.
        """
        if self.base_url:
            names = self.served_names or (self.served_name,)
            return [ServedModel(name, "", url=self.base_url) for name in names]
        merge = check_merge(self.base_model, self.finetuned_model, AlphaRule(first), self.method)
        options = ServeOptions(max_model_len=self.max_model_len, merge=merge, log=ROOT / self.output / "server.log")
        return [ServedModel(self.served_name, self.finetuned_model, options)]


def wait_for_dial(url: str, seconds: float) -> Dial | None:
    """The dial of a server that may take this long to start; None if it has none. Raises what `read_dial` raises."""
    until = time.monotonic() + seconds
    while True:
        try:
            return read_dial(url)
        except UserError:
            if time.monotonic() >= until:
                raise
            time.sleep(1)


def plan_runs(options: AlphaRuns, choice: ProblemChoice, flags: Sequence[str]) -> list[SamplingRun]:
    """Each alpha's run, with flags of step 1a. The server is asked for the parents only if a run is incomplete."""
    counts = len(choice.select()), options.num_samples
    names = options.served_names or (options.served_name,) * len(options.alphas)
    runs = []
    for alpha, name in zip(options.alphas, names, strict=True):
        dialled = None if options.served_names else alpha
        models = {"--base_urls": name}
        own = ("--model", "instruct", "--instruct_model", name, "--num_samples", str(options.num_samples), *flags)
        runs.append(SamplingRun(options.folder(alpha), *counts, STEP, own, models, alpha=dialled))
    if all(run.is_complete() for run in runs):
        return runs
    parents = options.parents
    return [
        SamplingRun(**{**vars(run), "flags": (*run.flags, "--merged_from", *parents, f"{alpha:g}")})
        for run, alpha in zip(runs, options.alphas, strict=True)
    ]


def make_runs(options: AlphaRuns, runs: Sequence[SamplingRun]) -> int:
    """Samples the runs one by one; each is converted and checked while the next is sampled. Returns the worst status.

    Step 2's and step 3's output goes to log.txt in each folder.
    """
    statuses: list[int] = []
    checks: list[Future[int]] = []
    (ROOT / options.output).mkdir(parents=True, exist_ok=True)
    missing = [run.alpha for run in runs if not run.is_complete()]
    models = options.models(missing[0] or 0.0) if missing else []
    with ThreadPoolExecutor(1) as pool:

        def check(run: SamplingRun, status: int, seconds: float) -> None:
            statuses.append(status)
            if seconds:
                print(f"{run.folder.name}: sampled in {seconds:.0f} s", flush=True)
            checks.append(pool.submit(convert_and_check, run.folder, ROOT / run.folder / "log.txt", True))

        try:
            sample_runs(models, runs, options.start_deadline, check, may_fail=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return max([*statuses, *(each.result() for each in checks)])


def step_flags(problems: Mapping[str, Any], sampling: Sequence[str]) -> list[str]:
    """Flags of step 1a: its settings SAME, and SAMPLING, where `seed=1` is `--seed=1`.

    Raises UserError for another form.
    """
    flags = [word for name in SAME for word in (f"--{name}", str(problems[name]))]
    for word in sampling:
        require(word[:1].isalpha() and "=" in word, f"SAMPLING has NAME=VALUE, such as seed=1, not {word!r}")
    return [*flags, *(f"--{word}" for word in sampling)]


def repository_path(name: str) -> Path:
    """A folder in the form that the steps, which run in the repository, understand."""
    path = Path(name).absolute()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
