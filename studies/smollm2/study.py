"""Reproduces the study: fine-tunes SmolLM2-135M-Instruct on MBPP, merges it back at every alpha, measures on MBPP+.

It writes the model and the problems, builds a dataset of MBPP's own programs with steps 2 to 4, fine-tunes with
LLaMA-Factory, and samples with vLLM, moving the dial from alpha to alpha. Everything is chosen on the validation
problems and reported on the test problems, in results.json, tables and figures. After a stop, run it again: it resumes
with whatever is missing.

    python -m studies.smollm2.study --mbpp mbpp.jsonl
    python -m studies.smollm2.study --dry_run
    python -m studies.smollm2.study --start HuggingFaceTB/SmolLM2-135M --finetuned HuggingFaceTB/SmolLM2-135M-Instruct
"""

import os
from collections.abc import Iterator
from pathlib import Path

from hindsight.pipeline import ROOT
from hindsight.settings import Settings, run_script
from studies.smollm2.collect import collect
from studies.smollm2.dataset import make_dataset
from studies.smollm2.grid import Grid
from studies.smollm2.model import write_model
from studies.smollm2.plan import StudyOptions, StudyRun
from studies.smollm2.problems import WHOLE_TEST, choose_problems, spread, write_problems
from studies.smollm2.report import write_report
from studies.smollm2.results import write_results
from studies.smollm2.work import Work

# fmt: off
MBPP = "mbpp.jsonl"              # MBPP, 974 problems: google-research/mbpp/mbpp.jsonl on GitHub
MBPP_PLUS = "mbppplus"           # MBPP+ as --problems takes it
OUTPUT_DIR = "runs/smollm2"      # where everything is written
START = ""                       # the model to fine-tune and merge back with; empty: SmolLM2-135M-Instruct
FINETUNED = []                   # existing fine-tuned models, one per seed; empty: fine-tune
LLAMAFACTORY = ".venv-train/bin/llamafactory-cli"  # LLaMA-Factory, by `make .venv-train/installed`

TRAININGS = ["full", "lora"]     # full: all weights; lora: an adapter
SEEDS = [0, 1, 2]                # training seeds
FULL_RATES = [2e-5, 1e-4]        # learning rates of whole models, to choose from on validation
LORA_RATES = [2e-4, 1e-3]        # learning rates of adapters, to choose from on validation
EPOCHS = [1.0, 2.0]              # epochs of fine-tuning, multiples of 0.5, to choose from on validation
EARLY = [0.5]                    # early checkpoints of the first fine-tuned model, of those before the chosen one
FULL_ALPHAS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]  # of the first seed's merges; 0 and 1 are the parents
COMMON_ALPHAS = [0.2, 0.4, 0.6, 0.8]                         # alphas at which every seed's model is merged
LORA_ALPHAS = [0.4, 0.7]         # alphas at which adapters are merged
VALIDATION_ALPHAS = [0.2, 0.4, 0.6, 0.8]                     # of the first seed, measured on validation, to choose one
START_TEMPERATURES = [0.4, 0.7, 1.0]                         # of the start model in both prompts, to choose from
FINETUNED_TEMPERATURES = [0.4, 0.7, 1.0]                     # of the fine-tuned model, to choose from on validation
TEMPERATURE = 0.4                # of merges, early checkpoints and switching: where both parents did best on validation
SHOTS = True                     # also ask the start model in the three-shot prompt
TURNS = ["10", "10"]             # tokens per turn of the start and of the fine-tuned model; empty: no switching
METHOD = "lerp"                  # lerp or slerp

SAMPLES = 10                     # answers per problem
MAX_TOKENS = 256                 # longest answer, in tokens
TOP_P = 1.0                      # below 1, vLLM sorts the vocabulary for each token, which is slow on a CPU
DTYPE = "bfloat16"               # number format in which models are served; float32 takes 1.6 times as long on a CPU
TEST_PROBLEMS = 0                # how many of the 224 to use, evenly spread; 0: all
ENTROPY_EVERY = 8                # entropy along the first answer to every eighth test problem; 0: none
CONCURRENCY = 512                # requests in flight per server
LANES = 2                        # servers at once, each with its share of the cores
START_DEADLINE = 900             # seconds a server may take to start
FORMATS = ["png"]                # pictures: png, pdf, svg
DRY_RUN = False                  # only list what would be run
# fmt: on

RECORDED = ("start", "finetuned", "temperature", "samples", "max_tokens", "top_p", "dtype", "method")
RECORDED += ("entropy_every", "turns")


def main(settings: Settings) -> int:
    os.chdir(ROOT)
    output = Path(settings.output_dir)
    own = output / "model"
    options, grid = settings.pick(StudyOptions, output=output, start=settings.start or str(own)), settings.pick(Grid)
    parts = choose_problems(settings.mbpp, settings.mbpp_plus)
    whole_test, parts["test"] = parts["test"], spread(parts["test"], settings.test_problems)
    problems = {part: len(rows) for part, rows in parts.items()}
    print(", ".join(f"{count} problems for {part}" for part, count in problems.items()), flush=True)
    work = Work(options, grid, problems, settings.llamafactory, settings.entropy_every, settings.start_deadline)
    if settings.dry_run:
        print(*work.describe(), sep="\n")
        return 0
    write_problems({**parts, WHOLE_TEST: whole_test}, output / "problems")
    if not settings.start and not own.exists():
        write_model(own)
    if not grid.finetuned:
        make_dataset(options)
    recorded, done = {name: settings[name] for name in RECORDED} | {"start": options.start}, []
    for run in stages(work):
        done.append(run)
        write_results(output / "results.json", collect(work, recorded, done))
    print(write_report(output / "results.json", output / "report", settings.formats))
    return 0


def stages(work: Work) -> Iterator[StudyRun]:
    """The stages of the study, in order; yields each run once it is measured."""
    for kind in work.grid.kinds:
        work.train(work.trainings_to_choose(kind))
        yield from work.make(work.strength_runs(kind))
        work.choose_strength(kind)
        yield from work.make(work.validation_runs(kind))
        work.choose_temperatures(kind)
        for seed in work.grid.seeds:
            work.train(work.chosen_trainings(kind, seed))
            yield from work.make(work.test_runs(kind, seed))


if __name__ == "__main__":
    run_script(main, globals())
