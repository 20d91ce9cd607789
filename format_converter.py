"""Step 2: converts raw answers to the uniform format (see hindsight/text/), without changing a word of them.

Reads question_*_sample_*.json; writes converted_question_*_sample_*.json with `converted_text` and `conversion`, which
records how. Rules read an answer in any dialect, even if its tags are flawed (hindsight/conversion/reader.py). What the
rules cannot decide goes to a reformatting LLM on any OpenAI-compatible server: it quotes where to cut, or rewrites both
sections (hindsight/conversion/replies.py). Its reply is accepted only if nothing changed (hindsight/conversion/
fidelity.py), and is never paid for twice. Without an LLM the solution begins at the program's code block if it is
clear which block that is. An answer that cannot be converted gets no file, is counted, and is tried again by the next
run; one that has no program, or was cut off in its thought, counts as no answer (no_answers.json).

    python format_converter.py --input_dir runs/lab/instruct
    python format_converter.py --input_dir runs/taco/base --llm_url http://localhost:8000/v1
    python format_converter.py --input_dir runs/taco/base --llm_model gpt-4o-mini --budget "5 USD"    # OPENAI_API_KEY
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.conversion.batch_endpoint import DISCOUNT, BatchEndpoint
from hindsight.conversion.batch_files import BatchFiles
from hindsight.conversion.by_batches import BatchReformatter, convert_in_batches
from hindsight.conversion.by_model import ModelServerOptions, Reformatter, convert_by_model
from hindsight.conversion.by_rules import RuleOptions, convert_by_rules
from hindsight.conversion.conversions import AnswerFiles, Key
from hindsight.conversion.fidelity import FidelityLimits
from hindsight.conversion.reformat_prompts import MODES
from hindsight.conversion.reformat_request import ReformatOptions, ReformatRequest
from hindsight.conversion.reply_cache import ReplyCache
from hindsight.errors import UserError, require
from hindsight.files.answer_files import NO_ANSWERS, existing_samples, require_existing_samples, sample_keys
from hindsight.files.records import write_json
from hindsight.files.runs import open_step, read_run
from hindsight.servers.budgets import Bill, Prices, RateLimiter, read_budget
from hindsight.servers.client import served_model
from hindsight.servers.job_queue import Failures
from hindsight.servers.requests import read_extra_body
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIR = "runs/lab/instruct"  # run folder with the raw answers
OUTPUT_DIR = ""                  # folder for the converted answers; empty: INPUT_DIR

RULES = "first"  # first: the LLM converts what rules cannot decide; only: no LLM; never: only the LLM, as in the paper
WORKERS = 0      # processes that convert by rules; 0: one per core
MIN_KEPT = 0.9   # least share of the raw answer's words that a conversion keeps in order
MAX_NEW = 10     # most words of a conversion that are not in the raw answer

LLM_MODEL = ""              # reformatting model; empty: the only one that LLM_URL serves; the paper: gpt-4o-mini
LLM_URL = ""                # the reformatting model's server; empty: OPENAI_BASE_URL, else the OpenAI API
LLM_MODE = "cut"            # cut: it quotes where the sections end; rewrite: it writes them, as in the paper
LLM_TEMPERATURE = 0.7       # the paper: 0.7
LLM_MAX_TOKENS = 16384      # longest reply, in tokens; the paper: 16384
EXTRA_BODY = ""             # further keys of each request, JSON: '{"chat_template_kwargs": {"enable_thinking": true}}'
STRUCTURED_OUTPUT = True    # ask for JSON by a schema if the server supports it; false: ask for tagged text
RETRIES = 2                 # further attempts after a rejected reply, each with the reason
CACHE = "runs/reformatted"  # folder of the accepted replies of all runs; empty: no cache

MAX_RPM = 0              # most requests per minute; 0: no limit
MAX_TPM = 0              # most tokens per minute, prompts and longest replies together; 0: no limit
PRICE_PROMPT = 0.15      # dollars per million prompt tokens; 0 for your own server
PRICE_COMPLETION = 0.60  # dollars per million completion tokens
BUDGET = ""              # "5 USD" or "200000 tokens": no request that may exceed it is sent; empty: no budget
BATCH = False            # use the batch endpoint of the OpenAI API: half the price, within a day
DRY_RUN = False          # stop after the rules and the estimate of what the LLM would cost

CONCURRENCY = 64              # requests in flight
SERVER_DEADLINE = 600         # seconds that the server may stay away before the run gives up
ALLOW_OTHER_SETTINGS = False  # resume in a folder that was converted with other settings
# fmt: on

# Settings that may differ between two calls that write into one folder, because they do not affect the conversions.
MAY_DIFFER = ("input_dir", "output_dir", "workers", "llm_url", "structured_output", "retries", "cache", "max_rpm")
MAY_DIFFER += ("max_tpm", "price_prompt", "price_completion", "budget", "batch", "dry_run", "concurrency")
MAY_DIFFER += ("server_deadline",)


@dataclass(frozen=True)
class ModelChoice:
    """The settings that decide whether a reformatting model is asked, and which."""

    rules: str
    llm_model: str
    llm_url: str
    batch: bool
    cache: str


@dataclass(frozen=True)
class CostOptions:
    """Prices and limits of the requests to the reformatting model; a batch costs half."""

    price_prompt: float
    price_completion: float
    budget: str
    batch: bool
    cache: str
    max_rpm: int
    max_tpm: int
    dry_run: bool

    def new_bill(self) -> Bill:
        share = DISCOUNT if self.batch else 1.0
        return Bill(Prices(self.price_prompt * share, self.price_completion * share), read_budget(self.budget))


def find_model(choice: ModelChoice) -> tuple[str, str]:
    """The name and address of the reformatting model; empty if none is named or RULES asks for none.

    Raises UserError if the settings contradict each other, or the server does not answer or lacks the model.
    """
    require(not choice.batch or bool(choice.cache), "BATCH keeps its replies in CACHE; name a folder")
    named = bool(choice.llm_model or choice.llm_url)
    require(named or choice.rules != "never", "RULES never needs a reformatting model: LLM_MODEL or LLM_URL")
    require(named or not choice.batch, "BATCH needs a reformatting model: LLM_MODEL")
    if not named or choice.rules == "only":
        return "", ""
    url = choice.llm_url or os.environ.get("OPENAI_BASE_URL", "")
    key = bool(url or os.environ.get("OPENAI_API_KEY"))
    require(key, f"{choice.llm_model} needs OPENAI_API_KEY, or a server by --llm_url or OPENAI_BASE_URL")
    return asyncio.run(served_model(url, choice.llm_model)), url


def require_one_input(files: AnswerFiles) -> None:
    """Raises UserError if the output folder holds conversions of another input folder."""
    step = read_run(files.output)["steps"].get(Path(__file__).name)
    if step is None or not existing_samples(files.output, "converted"):
        return
    earlier = Path(step["settings"]["input_dir"])
    if earlier.resolve() != files.source.resolve():
        raise UserError(f"{files.output} holds conversions of {earlier}; give {files.source} another OUTPUT_DIR")


def estimate(keys: list[Key], files: AnswerFiles, options: ReformatOptions, cache: ReplyCache, prices: Prices) -> str:
    """A sentence with the number of requests that the LLM will get, and their probable cost."""
    prompts = replies = 0
    new: set[str] = set()
    for key in tqdm(keys, unit="answer", desc="estimate"):
        answer = files.read(key)
        request = ReformatRequest(answer.text, options, answer.target)
        if request.key not in new and not request.from_cache(cache):
            new.add(request.key)
            prompt, reply = request.estimate
            prompts, replies = prompts + prompt, replies + reply
    return (
        f"{len(keys)} answers need the LLM, {len(new)} requests are new: about {prompts:,} prompt and "
        f"{replies:,} completion tokens, ${prices.cost(prompts, replies):.4f}"
    )


def ask_llm(
    keys: list[Key],
    files: AnswerFiles,
    options: ReformatOptions,
    server: ModelServerOptions,
    costs: CostOptions,
    failures: Failures,
) -> tuple[list[str], dict[str, Any]]:
    """Converts what rules could not decide. Returns sentences for the report, and counts for run.json."""
    bill, cache = costs.new_bill(), ReplyCache(costs.cache)
    print(estimate(keys, files, options, cache, bill.prices))
    if costs.dry_run:
        return ["nothing was asked"], {}
    gave_up = ""
    if costs.batch:
        endpoint = BatchEndpoint(server.llm_url, server.server_deadline, print)
        batches = BatchReformatter(options, BatchFiles(files.output / "batches"), endpoint, cache, bill)
        convert_in_batches(keys, files, batches, failures)
    else:
        reformatter = Reformatter(options, cache, bill, RateLimiter(costs.max_rpm, costs.max_tpm), print)
        gave_up = asyncio.run(convert_by_model(keys, files, reformatter, server, failures))
    report = [f"the LLM's bill: {bill}"]
    if gave_up:
        report.append(f"the reformatting model's server stopped answering: {gave_up}; run again to resume")
    return report, {"bill": bill.counts()}


def main(settings: Settings) -> int:
    require(settings.rules in ("first", "only", "never"), f"RULES is first, only or never, not {settings.rules!r}")
    require(settings.llm_mode in MODES, f"LLM_MODE is {' or '.join(MODES)}, not {settings.llm_mode!r}")
    require(0 <= settings.min_kept <= 1 and settings.max_new >= 0, "MIN_KEPT lies in [0, 1], MAX_NEW is 0 or more")
    require(settings.retries >= 0 and settings.concurrency > 0, "RETRIES is 0 or more, CONCURRENCY 1 or more")
    read_budget(settings.budget)
    extra = read_extra_body(settings.extra_body)
    model, url = find_model(settings.pick(ModelChoice))
    settings = Settings({**settings, "llm_model": model, "llm_url": url})
    limits = settings.pick(FidelityLimits)
    source = Path(settings.input_dir)
    files = AnswerFiles(source, Path(settings.output_dir) if settings.output_dir else source)

    raw = require_existing_samples(source, "sample")
    if settings.output_dir:
        require_one_input(files)
    run = open_step(files.output, Path(__file__).name, settings, MAY_DIFFER, source=source)
    todo = list(sample_keys(raw, without=existing_samples(files.output, "converted")))
    answers = sum(bits.bit_count() for bits in raw.values())
    print(f"{source}: {answers} answers, {answers - len(todo)} converted before")

    counts = convert_by_rules(
        todo, files, settings.pick(RuleOptions, has_model=bool(model), limits=limits), settings.workers
    )
    if settings.rules != "never":
        print(counts.report())
    failures = Failures()
    for name, reason in [*counts.failed, *counts.no_answer.items()]:
        failures.add(name, reason)
    write_json(files.output / NO_ANSWERS, counts.no_answer)

    report, bill = [], {}
    if counts.undecided:
        options, server = (
            settings.pick(ReformatOptions, limits=limits, extra_body=extra),
            settings.pick(ModelServerOptions),
        )
        report, bill = ask_llm(counts.undecided, files, options, server, settings.pick(CostOptions), failures)

    missing = sum(1 for _ in sample_keys(raw, without=existing_samples(files.output, "converted")))
    no_answer = len(counts.no_answer)
    run.close(converted=len(todo) - missing, missing=missing, no_answer=no_answer, rules=dict(counts.rules), **bill)
    report += [failures.report()] if failures else []
    held = f"; {no_answer} of these hold no answer and count as wrong" if no_answer else ""
    print("\n".join([f"{len(todo) - missing} converted into {files.output}, {missing} not converted{held}", *report]))
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main, globals())
