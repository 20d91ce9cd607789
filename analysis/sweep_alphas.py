"""How far to merge back? Samples, converts and checks a model at each of several alphas, and shows what changes.

One vLLM server answers all alphas: its dial (docs/sweep.md) is set to one after the other. Or BASE_URL has a model for
each alpha, such as a LoRA adapter. Writes a run folder per alpha, alpha_0.4 and so on, as steps 1 to 3 do, and at the
end sweep.md, sweep.json and a picture: pass@k, the diversity of programs, the length of thoughts and answers, the
shares cut off and in the format, each with its 95 % interval and paired differences to both parents. Run it again after
a stop: it resumes with whatever is missing.

    python analysis/sweep_alphas.py --end_idx 30
    python analysis/sweep_alphas.py --base_url http://localhost:8000/v1 --served_name alpha --problems mbppplus
"""

import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.measures.alpha_sweep import MEASURES, MeasuredSweep, measure_sweep
from analysis.reading.answers import load_answers, require_same_problems
from hindsight.errors import UserError, require
from hindsight.files import records
from hindsight.merging.alphas import AlphaRule
from hindsight.pass_at_k.drawing import PRINT_STYLE, save_figure, suffixes_of
from hindsight.pipeline import ROOT, SamplingRun, ServedModel, convert_and_check, sample_runs
from hindsight.sampling.samples import ProblemChoice
from hindsight.servers.alpha_dial import Dial, read_dial
from hindsight.servers.vllm_process import ServeOptions
from hindsight.serving import check_merge
from hindsight.settings import Settings, run_script

# fmt: off
BASE_MODEL = "lab/models/base"           # alpha 0: a folder or a Hub name; BASE_URL's dial knows its own
FINETUNED_MODEL = "lab/models/instruct"  # alpha 1, likewise
ALPHAS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]  # in the order in which they are sampled
METHOD = "lerp"                          # lerp or slerp; BASE_URL's dial knows its own
BASE_URL = ""                            # a server with a dial or with a model for each alpha; empty: start one
SERVED_NAME = "sweep"                    # the model's name on the server
SERVED_NAMES = []                        # names of a model for each of ALPHAS on BASE_URL; empty: one model with a dial
OUTPUT_DIR = "runs/lab/sweep"            # gets a run folder per alpha, the table and the figure
PROBLEMS = "lab"                         # lab, a set by name, a file or a Hub name
SPLIT = "test"                           # part of the problem set
DIFFICULTY = ""                          # EASY, MEDIUM, ...; empty: all
END_IDX = 0                              # one past the last problem; 0: all
NUM_SAMPLES = 10                         # answers per problem and alpha
MAX_TOKENS = 512                         # longest answer, in tokens
SAMPLING = []                            # other settings of single_model_inference.py: instruct_top_p=1 seed=1
KS = [1, 10]                             # the values of k of pass@k
FORMATS = ["png"]                        # pictures: png, pdf, svg
MAX_MODEL_LEN = 0                        # context of a started server in tokens; 0: as the model's config says
START_DEADLINE = 600                     # seconds that it may take to start
WAIT_FOR_SERVER = 0                      # seconds that the server at BASE_URL may take to start
# fmt: on

STEP = "single_model_inference.py"


@dataclass(frozen=True)
class SweepOptions:
    """The settings of the script, checked; output: OUTPUT_DIR, inside the repository relative to it, else absolute."""

    base_model: str
    finetuned_model: str
    alphas: tuple[float, ...]
    method: str
    base_url: str
    served_name: str
    served_names: tuple[str, ...]
    output: Path
    num_samples: int
    ks: tuple[int, ...]
    formats: tuple[str, ...]
    max_model_len: int
    start_deadline: float
    wait_for_server: float

    def __post_init__(self) -> None:
        require(bool(self.alphas), "give at least one alpha by --alphas")
        require(all(0 <= alpha <= 1 for alpha in self.alphas), f"ALPHAS lie in [0, 1], not {list(self.alphas)}")
        require(len({f"{alpha:g}" for alpha in self.alphas}) == len(self.alphas), "an alpha of ALPHAS comes twice")
        few, most = (min(self.ks), max(self.ks)) if self.ks else (0, 0)
        require(few >= 1 and most <= self.num_samples, f"KS lie in 1 to NUM_SAMPLES, {self.num_samples}")
        suffixes_of(self.formats)
        if self.served_names:
            count, alphas = len(self.served_names), len(self.alphas)
            require(count == alphas, f"SERVED_NAMES are {count} names for {alphas} of ALPHAS")
            require(bool(self.base_url), "SERVED_NAMES are on a server that runs: give its address by --base_url")

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
        """The server's models; one that is started has the dial at alpha `first`.

        Raises UserError if it could not merge.
        """
        if self.base_url:
            names = self.served_names or (self.served_name,)
            return [ServedModel(name, "", url=self.base_url) for name in names]
        merge = check_merge(self.base_model, self.finetuned_model, AlphaRule(first), self.method)
        options = ServeOptions(max_model_len=self.max_model_len, merge=merge, log=ROOT / self.output / "server.log")
        return [ServedModel(self.served_name, self.finetuned_model, options)]


def wait_for_dial(url: str, seconds: float) -> Dial | None:
    """The dial of a server that may take these seconds to start; None if it has none. Raises as `read_dial` does."""
    until = time.monotonic() + seconds
    while True:
        try:
            return read_dial(url)
        except UserError:
            if time.monotonic() >= until:
                raise
            time.sleep(1)


def plan_runs(options: SweepOptions, choice: ProblemChoice, flags: Sequence[str]) -> list[SamplingRun]:
    """Each alpha's run. The parents are asked of the server only if a run is incomplete."""
    answers = len(choice.select()) * options.num_samples
    names = options.served_names or (options.served_name,) * len(options.alphas)
    runs = []
    for alpha, name in zip(options.alphas, names, strict=True):
        dialled = None if options.served_names else alpha
        models = {"--base_urls": name}
        own = ("--model", "instruct", "--instruct_model", name, *flags)
        runs.append(SamplingRun(options.folder(alpha), answers, STEP, own, models, alpha=dialled))
    if all(run.is_complete() for run in runs):
        return runs
    parents = options.parents
    return [
        SamplingRun(**{**vars(run), "flags": (*run.flags, "--merged_from", *parents, f"{alpha:g}")})
        for run, alpha in zip(runs, options.alphas, strict=True)
    ]


def make_runs(options: SweepOptions, runs: Sequence[SamplingRun]) -> int:
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


def read_sweep(options: SweepOptions) -> MeasuredSweep:
    """The measures of all runs. Raises UserError when one is broken, or when two differ in their problems."""
    runs = {alpha: load_answers(ROOT / options.folder(alpha), f"alpha {alpha:g}") for alpha in options.alphas}
    require_same_problems({f"alpha {alpha:g}": answers for alpha, answers in runs.items()})
    return measure_sweep(runs, options.ks)


def as_json(measured: MeasuredSweep, options: SweepOptions) -> dict[str, Any]:
    """The numbers of the table."""
    names, alphas = measured.names, measured.alphas
    differences = [
        {"alpha": alpha, "minus": parent, "measure": name, **asdict(found)}
        for parent in measured.parents
        for alpha in alphas
        for name in names
        if alpha != parent and (found := measured.difference(alpha, parent, name))
    ]
    runs = [
        {
            "alpha": alpha,
            "folder": str(options.folder(alpha)),
            "estimates": {name: asdict(measured.estimate(alpha, name)) for name in names},
        }
        for alpha in alphas
    ]
    described = {name: measure.description for name, measure in MEASURES.items()}
    return {"measures": described, "runs": runs, "differences": differences, "left_out": measured.left_out}


def write_report(options: SweepOptions) -> str:
    """Writes sweep.md, sweep.json and the picture, and returns the tables and the files' names."""
    from matplotlib import rc_context  # here, so that bad input is reported before this slow import

    from analysis.display.sweep_report import draw_sweep, sweep_tables

    measured, output = read_sweep(options), ROOT / options.output / "sweep"
    text = "\n\n".join([sweep_tables(measured), *measured.left_out])
    with rc_context(PRINT_STYLE):
        save_figure(draw_sweep(measured), output, suffixes_of(options.formats))
    records.write_json(output.with_suffix(".json"), as_json(measured, options))
    records.write_bytes(output.with_suffix(".md"), f"{text}\n".encode())
    pictures = ", ".join(f"sweep.{name}" for name in options.formats)
    return f"{text}\n\n{options.output}: sweep.md, sweep.json, {pictures}"


def sampling_flags(words: Sequence[str]) -> list[str]:
    """SAMPLING as flags: `seed=1` is `--seed=1`. Raises UserError for another form."""
    for word in words:
        require(word[:1].isalpha() and "=" in word, f"SAMPLING has NAME=VALUE, such as seed=1, not {word!r}")
    return [f"--{word}" for word in words]


def repository_path(name: str) -> Path:
    """A folder as the steps, which run in the repository, understand it."""
    path = Path(name).absolute()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main(settings: Settings) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves by way of `sample_runs`, which ends the server
    options = settings.pick(SweepOptions, output=repository_path(settings.output_dir))
    choice = settings.pick(ProblemChoice, begin_idx=0, shard=0, shards=1)
    same = ("problems", "split", "difficulty", "end_idx", "num_samples", "max_tokens")
    flags = [word for name in same for word in (f"--{name}", str(settings[name]))]
    runs = plan_runs(options, choice, [*flags, *sampling_flags(settings.sampling)])
    status = make_runs(options, runs)
    print(write_report(options))
    return status


if __name__ == "__main__":
    run_script(main, globals())
