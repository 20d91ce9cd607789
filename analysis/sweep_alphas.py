"""How far to merge back? Samples, converts and checks a model at each of several alphas, and shows what changes.

One vLLM server answers for all alphas: its dial (docs/sweep.md) is set to one after the other. Or BASE_URL has a model
for each alpha, such as a LoRA adapter. Writes a run folder per alpha, alpha_0.4 and so on, as steps 1 to 3 do, and at
the end sweep.md, sweep.json and a picture: pass@k, the diversity of programs, the length of thoughts and answers, the
shares cut off and in the format, each with its 95 % interval and paired differences to both parents. Run it again after
a stop: it resumes with whatever is missing.

    python analysis/sweep_alphas.py --end_idx 30
    python analysis/sweep_alphas.py --base_url http://localhost:8000/v1 --served_name alpha --problems mbppplus
"""

import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.alpha_runs import AlphaRuns, make_runs, plan_runs, repository_path, step_flags
from analysis.measures.alpha_sweep import MEASURES, MeasuredSweep, measure_sweep
from analysis.reading.answers import load_answers, require_same_problems
from hindsight.errors import require
from hindsight.files import records
from hindsight.pass_at_k.drawing import PRINT_STYLE, save_figure, suffixes_of
from hindsight.pipeline import ROOT
from hindsight.sampling.samples import ProblemChoice
from hindsight.settings import Settings, run_script

# fmt: off
BASE_MODEL = "lab/models/base"           # alpha 0: a folder or a Hub name; BASE_URL's dial knows its own
FINETUNED_MODEL = "lab/models/instruct"  # alpha 1: a folder or a Hub name; BASE_URL's dial knows its own
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
START_DEADLINE = 600                     # seconds that a started server may take
WAIT_FOR_SERVER = 0                      # seconds that the server at BASE_URL may take to start
# fmt: on


@dataclass(frozen=True)
class SweepOptions(AlphaRuns):
    """The settings of the script, checked."""

    ks: tuple[int, ...]
    formats: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        few, most = (min(self.ks), max(self.ks)) if self.ks else (0, 0)
        require(few >= 1 and most <= self.num_samples, f"KS are from 1 to NUM_SAMPLES ({self.num_samples})")
        suffixes_of(self.formats)


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


def main(settings: Settings) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves by way of `sample_runs`, which ends the server
    options = settings.pick(SweepOptions, output=repository_path(settings.output_dir))
    choice = settings.pick(ProblemChoice, begin_idx=0, shard=0, shards=1)
    runs = plan_runs(options, choice, step_flags(settings, settings.sampling))
    status = make_runs(options, runs)
    print(write_report(options))
    return status


if __name__ == "__main__":
    run_script(main, globals())
