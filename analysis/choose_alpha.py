"""Finds the best alpha with a fraction of a sweep's answers, and reports how sure it is.

Samples in rounds, on one vLLM server with a dial or on BASE_URL, as analysis/sweep_alphas.py does: first a few answers
per problem at every alpha, then more at the best and at its strongest rival. Ends when no alpha exceeds the best by
more than TOLERANCE at CONFIDENCE, when the tokens are spent, or at MOST_SAMPLES. The run folders are those of a sweep,
whose existing answers are used. Writes choice.md and choice.json; run it again after a stop.

    python analysis/choose_alpha.py --end_idx 60 --max_tokens 160 --max_model_len 512
    python analysis/choose_alpha.py --plan 0.02       # how many answers an interval of plus or minus .02 needs
"""

import signal
import sys
from dataclasses import asdict
from pathlib import Path

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.alpha_choice import SampledAlphas, choose
from analysis.alpha_runs import AlphaRuns, repository_path, step_flags
from analysis.display.choice_report import choice_as_json, plan_text, report_text
from analysis.measures.alpha_objectives import Objective
from analysis.measures.best_alpha import Search
from hindsight.errors import require
from hindsight.files import records
from hindsight.pipeline import ROOT
from hindsight.sampling.samples import ProblemChoice
from hindsight.settings import Settings, run_script

# fmt: off
BASE_MODEL = "lab/models/base"           # alpha 0: a folder or a Hub name; BASE_URL's dial knows its own
FINETUNED_MODEL = "lab/models/instruct"  # alpha 1: a folder or a Hub name; BASE_URL's dial knows its own
ALPHAS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]  # alphas to choose from
METHOD = "lerp"                          # lerp or slerp; BASE_URL's dial knows its own
BASE_URL = ""                            # a server with a dial or with a model for each alpha; empty: start one
SERVED_NAME = "choice"                   # the model's name on the server
SERVED_NAMES = []                        # names of a model for each of ALPHAS on BASE_URL; empty: one model with a dial
OUTPUT_DIR = "runs/lab/choice"           # gets a run folder per alpha, the rounds and the choice; or a sweep's folder
PROBLEMS = "lab"                         # lab, a set by name, a file or a Hub name
SPLIT = "test"                           # part of the problem set; choose on other problems than you report on
DIFFICULTY = ""                          # EASY, MEDIUM, ...; empty: all
END_IDX = 0                              # one past the last problem; 0: all
MAX_TOKENS = 512                         # longest answer, in tokens
SAMPLING = []                            # other settings of single_model_inference.py: instruct_top_p=1 seed=1
OBJECTIVE = "pass@k"                     # pass@k; programs: distinct correct programs in K answers; pass@1: see LEVEL
K = 10                                   # the k of pass@k, or the number of answers in which OBJECTIVE programs counts
LEVEL = 0.0                              # with OBJECTIVE pass@1: the pass@K that an alpha must reach
TOLERANCE = 0.02                         # the chosen alpha may be worse than the best by at most this
CONFIDENCE = 0.95                        # probability that the chosen alpha is not worse than that
FIRST_SAMPLES = 2                        # answers per problem at every alpha, in the first round
ROUND_SAMPLES = 2                        # further answers per problem at two alphas, in each later round
MOST_SAMPLES = 20                        # most answers per problem at one alpha
TOKEN_BUDGET = 0                         # most tokens of all answers together; 0: no limit
PLAN = 0.0                               # half an interval's width: only report what that needs; 0: choose
MAX_MODEL_LEN = 0                        # context of a started server in tokens; 0: as the model's config says
START_DEADLINE = 600                     # seconds that a started server may take
WAIT_FOR_SERVER = 0                      # seconds that the server at BASE_URL may take to start
# fmt: on


def make_search(first: int, batch: int, most: int, tolerance: float, confidence: float) -> Search:
    """The search, from the settings. Raises UserError for values that make no sense."""
    require(1 <= first <= most, f"FIRST_SAMPLES is from 1 to MOST_SAMPLES ({most}), not {first}")
    require(batch >= 1, f"ROUND_SAMPLES is at least 1, not {batch}")
    require(tolerance > 0, f"TOLERANCE is above 0, not {tolerance:g}")
    require(0 < confidence < 1, f"CONFIDENCE is between 0 and 1, not {confidence:g}")
    return Search(first, batch, most, tolerance, confidence)


def write_choice(output: Path, text: str, numbers: dict) -> None:
    """choice.md and choice.json."""
    records.write_bytes(output / "choice.md", f"{text}\n".encode())
    records.write_json(output / "choice.json", numbers)


def main(settings: Settings) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves the context of the server, which ends it
    runs = settings.pick(AlphaRuns, output=repository_path(settings.output_dir), num_samples=settings.most_samples)
    objective = Objective(settings.objective, settings.k, settings.level)
    sizes = settings.first_samples, settings.round_samples, settings.most_samples
    search = make_search(*sizes, settings.tolerance, settings.confidence)
    problems = settings.pick(ProblemChoice, begin_idx=0, shard=0, shards=1)
    with SampledAlphas(runs, problems, step_flags(settings, settings.sampling)) as sampled:
        if settings.plan:
            print(plan_text(sampled, settings.k, settings.plan))
            return 0
        finding = choose(sampled, objective, search, settings.token_budget)
        text = report_text(sampled, objective, search, finding)
        numbers = {"objective": asdict(objective), "search": asdict(search), **choice_as_json(sampled, finding)}
        write_choice(ROOT / runs.output, text, numbers)
        print(f"\n{text}\n\n{runs.output}: choice.md, choice.json")
        return sampled.status


if __name__ == "__main__":
    run_script(main, globals())
