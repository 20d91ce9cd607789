"""Makes one run of one model: serves it, samples, converts and checks, by the steps that a user runs.

Run it again after a stop: it resumes with whatever is missing.

    python -m lab.pipeline --checkpoint lab/models/instruct --num_samples 2 --end_idx 3 --output_dir runs/try
"""

import signal
import sys
from pathlib import Path

from hindsight.errors import UserError
from hindsight.pipeline import ROOT, SamplingRun, ServedModel, convert_and_check, serve_models
from hindsight.problem_sets.selection import select_problems
from hindsight.servers.vllm_process import ServeOptions
from hindsight.settings import Settings, run_script

# fmt: off
CHECKPOINT = "lab/models/instruct"  # the model that answers: a folder or a Hub name
NAME = "lab-instruct"               # the name of the model on the server
PROMPT = "instruct"                 # how to prompt it: base (a transcript) or instruct (a chat)
MERGED_FROM = []                    # base, fine-tuned model and alpha of a merged model, recorded with its answers
OUTPUT_DIR = "runs/lab/instruct"    # the run's folder; it gets the server's log too
PROBLEMS = "lab"                    # lab, a file or a Hub name
SPLIT = "test"                      # part of the problem set
DIFFICULTY = ""                     # EASY, MEDIUM, ...; empty: all
END_IDX = 0                         # one past the last problem; 0: all
NUM_SAMPLES = 10                    # answers per problem
MAX_TOKENS = 512                    # longest answer, in tokens
CONCURRENCY = 256                   # requests in flight
PORT = 0                            # port of the server; 0: a free one
SERVE = ""                          # command that serves {model} as {name} on {port}; empty: vLLM as for the lab
START_DEADLINE = 600                # seconds the server may take to start
# fmt: on


def main(settings: Settings) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves by way of `serve_models`, which ends the server
    if settings.prompt not in ("base", "instruct"):
        raise UserError(f"PROMPT is base or instruct, not {settings.prompt!r}")
    problems = select_problems(settings.problems, settings.split, settings.difficulty).tested()[
        : settings.end_idx or None
    ]
    flags = ["--model", settings.prompt, f"--{settings.prompt}_model", settings.name]
    for name in ("problems", "split", "difficulty", "end_idx", "num_samples", "max_tokens", "concurrency"):
        flags += [f"--{name}", str(settings[name])]
    flags += ["--merged_from", *settings.merged_from] if settings.merged_from else []
    folder, counts = Path(settings.output_dir), (len(problems), settings.num_samples)
    run = SamplingRun(folder, *counts, "single_model_inference.py", tuple(flags), {"--base_urls": settings.name})
    (ROOT / folder).mkdir(parents=True, exist_ok=True)
    options = ServeOptions(port=settings.port, log=ROOT / folder / "server.log", command=settings.serve)
    model = ServedModel(settings.name, settings.checkpoint, options)
    sampled = 0
    if not run.is_complete():
        print(f"serving {settings.checkpoint}; the server's log: {folder / 'server.log'}", flush=True)
        with serve_models([model], settings.start_deadline) as urls:
            sampled = run.sample(urls, may_fail=True)
    return max(sampled, convert_and_check(folder, may_fail=True))


if __name__ == "__main__":
    run_script(main, globals())
