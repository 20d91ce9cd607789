"""Step 2: brings raw answers into the uniform format (see hindsight/text/formats.py), without changing a word of them.

Reads question_*_sample_*.json; writes converted_question_*_sample_*.json with `converted_text` and `conversion` (how).
Rules read an answer in any dialect, and one whose tags are not as they should be (hindsight/conversion/reader.py). What they
cannot decide goes to a reformatting LLM over any OpenAI-compatible server: it says where to cut (hindsight/
reformat_replies.py), or writes both sections anew. What it says is kept only with proof that nothing changed
(hindsight/conversion/proof.py), and never paid for twice. Without an LLM the last code block is the solution. What cannot be
converted gets no file, is counted, and is tried again by the next run.

    python format_converter.py --input_dir runs/lab/instruct
    python format_converter.py --input_dir runs/taco/base --llm_url http://localhost:8000/v1
    python format_converter.py --input_dir runs/taco/base --llm_model gpt-4o-mini --budget "5 USD"    # OPENAI_API_KEY
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

from tqdm import tqdm

from hindsight.conversion.batches import DISCOUNT, Batches
from hindsight.conversion.by_model import Question, Reformatter
from hindsight.conversion.by_rules import convert_by_rules, write_converted
from hindsight.conversion.replies import MODES
from hindsight.conversion.reply_cache import ReplyCache
from hindsight.errors import require
from hindsight.files import answer_files, records
from hindsight.files.runs import open_step
from hindsight.servers.budgets import Bill, Pace, Prices, read_budget
from hindsight.servers.client import ModelServer, only_model, require_model
from hindsight.servers.job_queue import Failures, JobQueue
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIR = "runs/lab/instruct"  # the run folder with the raw answers
OUTPUT_DIR = ""                  # where the converted ones go; empty: beside the raw ones

RULES = "first"  # first: the LLM gets what rules cannot decide; only: no LLM; never: as in the paper
WORKERS = 0      # processes that read by rules; 0: one a core
MIN_KEPT = 0.9   # share of the raw answer's words that a conversion has in their order, at least
MAX_NEW = 10     # words of a conversion that are not the raw answer's, at most

LLM_MODEL = ""              # the reformatting model; empty: the one that LLM_URL serves; the paper: gpt-4o-mini
LLM_URL = ""                # its server, as http://localhost:8000/v1; empty: OPENAI_BASE_URL, else the OpenAI API
LLM_MODE = "cut"            # cut: it quotes where the sections end; rewrite: it writes them, as in the paper
LLM_TEMPERATURE = 0.7       # the paper: 0.7
LLM_MAX_TOKENS = 16384      # longest reply, in tokens; the paper: 16384
STRUCTURED_OUTPUT = True    # replies are JSON by a schema, where the server can; false: they have tags
RETRIES = 2                 # times that a reply which cannot be kept is asked for again, with what was wrong
CACHE = "runs/reformatted"  # folder of the replies that were kept, for all runs; empty: none is

MAX_RPM = 0              # requests a minute, at most; 0: no limit
MAX_TPM = 0              # tokens a minute, at most, those of prompts and the longest replies; 0: no limit
PRICE_PROMPT = 0.15      # dollars for a million prompt tokens; 0 for a server of your own
PRICE_COMPLETION = 0.60  # dollars for a million completion tokens
BUDGET = ""              # "5 USD" or "200000 tokens": the LLM is asked nothing that may cost more; empty: none
BATCH = False            # by the batch endpoint of the OpenAI API: half the price, within a day
DRY_RUN = False          # stop after the rules and the estimate of what the LLM would cost

CONCURRENCY = 64              # requests in flight
SERVER_DEADLINE = 600         # seconds a server may stay away during the run before it is given up
ALLOW_OTHER_SETTINGS = False  # go on in a folder that was converted with other settings
# fmt: on

# Settings that may change between two calls that write into one folder: they do not change what a conversion is.
MAY_DIFFER = ("input_dir", "output_dir", "workers", "llm_url", "structured_output", "retries", "cache", "max_rpm")
MAY_DIFFER += ("max_tpm", "price_prompt", "price_completion", "budget", "batch", "dry_run", "concurrency")
MAY_DIFFER += ("server_deadline",)


class Undecided:
    """The answers that go to the LLM: by key, read again one at a time."""

    def __init__(self, keys: list[tuple[int, int]], folder: Path, settings: Settings):
        self.keys, self.folder, self.settings = keys, folder, settings

    def path(self, key: tuple[int, int]) -> Path:
        return answer_files.sample_path(self.folder, *key)

    def question(self, key: tuple[int, int]) -> Question:
        return Question(records.read_record(self.path(key))["generated_text"], self.settings)

    def questions(self) -> Iterator[Question]:
        return map(self.question, self.keys)


def estimate(undecided: Undecided, cache: ReplyCache, bill: Bill) -> str:
    """What the LLM will be asked, and what it may cost, in a sentence."""
    prompts = replies = 0
    new: set[str] = set()
    for question in tqdm(undecided.questions(), total=len(undecided.keys), unit="answer", desc="estimate"):
        if question.key not in new and not question.known(cache):
            new.add(question.key)
            prompt, reply = question.estimate
            prompts, replies = prompts + prompt, replies + reply
    return (
        f"{len(undecided.keys)} answers need the LLM, {len(new)} questions are new: about {prompts:,} prompt and "
        f"{replies:,} completion tokens, ${bill.prices.cost(prompts, replies):.4f}"
    )


async def ask_llm(undecided: Undecided, output: Path, reformatter: Reformatter, failures: Failures) -> str:
    """Asks the reformatting model about each answer, many at once, and writes those with a proof.

    Returns why answers are left if the server stayed away, else an empty text.
    """
    settings = undecided.settings

    async def convert(key: tuple[int, int], server: ModelServer) -> tuple:
        record = records.read_record(undecided.path(key))
        return record, *await reformatter.convert(record["generated_text"], server)

    pace = reformatter.pace.wait
    with tqdm(total=len(undecided.keys), unit="answer", desc="LLM") as bar:
        reformatter.say = bar.write
        async with ModelServer(
            settings.llm_url, settings.llm_model, settings.server_deadline, before_retry=pace
        ) as server:
            queue = JobQueue([(server,)], settings.concurrency, report=bar.write)
            async with aclosing(queue.run(undecided.keys, convert)) as finished:
                async for each in finished:
                    if each.failure:
                        failures.add(undecided.path(each.job).name, each.failure)
                    else:
                        write_converted(output, each.job, *each.result)
                    bar.set_postfix_str(f"${reformatter.bill.dollars:.4f}", refresh=False)
                    bar.update()
    return queue.gave_up


def ask_in_batches(undecided: Undecided, output: Path, reformatter: Reformatter, failures: Failures) -> None:
    """The same by the batch endpoint: when all replies are there, each answer's is in the cache, or has failed."""
    keys = {undecided.question(key).key: key for key in undecided.keys}
    settings = undecided.settings
    batches = Batches(
        output / "batches",
        settings.llm_url,
        settings.retries,
        reformatter.cache,
        reformatter.bill,
        print,
        settings.server_deadline,
    )
    batches.run(undecided.questions(), lambda key: undecided.question(keys[key]) if key in keys else None)
    for key in undecided.keys:
        record, question = records.read_record(undecided.path(key)), undecided.question(key)
        found = question.known(reformatter.cache)
        if found:
            write_converted(output, key, record, *found)
        else:
            failures.add(undecided.path(key).name, batches.failed.get(question.key, "no reply came"))


def with_llm(settings: Settings) -> Settings:
    """The settings with the LLM's model and address filled in; without an LLM where none is named or wanted.

    Raises UserError when they make no sense, or the LLM cannot be asked.
    """
    require(settings.rules in ("first", "only", "never"), f"RULES is first, only or never, not {settings.rules!r}")
    require(settings.llm_mode in MODES, f"LLM_MODE is {' or '.join(MODES)}, not {settings.llm_mode!r}")
    require(0 <= settings.min_kept <= 1 and settings.max_new >= 0, "MIN_KEPT lies in [0, 1], MAX_NEW is 0 or more")
    require(settings.retries >= 0 and settings.concurrency > 0, "RETRIES is 0 or more, CONCURRENCY 1 or more")
    require(not settings.batch or bool(settings.cache), "BATCH keeps its replies in CACHE; name a folder")
    read_budget(settings.budget)
    named = bool(settings.llm_model or settings.llm_url)
    require(named or settings.rules != "never", "RULES never wants a reformatting model: LLM_MODEL or LLM_URL")
    require(named or not settings.batch, "BATCH wants a reformatting model: LLM_MODEL")
    if not named or settings.rules == "only":
        return Settings({**settings, "llm_model": "", "llm_url": ""})
    url = settings.llm_url or os.environ.get("OPENAI_BASE_URL", "")
    key = bool(url or os.environ.get("OPENAI_API_KEY"))
    require(key, f"{settings.llm_model} needs OPENAI_API_KEY, or a server by --llm_url or OPENAI_BASE_URL")
    model = settings.llm_model or asyncio.run(only_model(url))
    asyncio.run(require_model(url, model))
    return Settings({**settings, "llm_model": model, "llm_url": url})


def by_llm(keys: list[tuple[int, int]], output: Path, settings: Settings, failures: Failures) -> tuple[list[str], dict]:
    """Converts what rules could not decide; sentences for the end, and the bill."""
    prices = Prices(settings.price_prompt, settings.price_completion)
    if settings.batch:
        prices = Prices(prices.prompt * DISCOUNT, prices.completion * DISCOUNT)
    bill, cache = Bill(prices, read_budget(settings.budget)), ReplyCache(settings.cache)
    undecided = Undecided(keys, Path(settings.input_dir), settings)
    print(estimate(undecided, cache, bill))
    if settings.dry_run:
        return ["nothing was asked"], {}
    reformatter = Reformatter(settings, cache, bill, Pace(settings.max_rpm, settings.max_tpm), print)
    gave_up = ""
    if settings.batch:
        ask_in_batches(undecided, output, reformatter, failures)
    else:
        gave_up = asyncio.run(ask_llm(undecided, output, reformatter, failures))
    report = [f"the LLM's bill: {bill}"]
    if gave_up:
        report.append(f"the reformatting model's server stopped answering: {gave_up}; run again to resume")
    return report, {"bill": bill.counts()}


def main(settings: Settings) -> int:
    settings = with_llm(settings)
    folder = Path(settings.input_dir)
    output = Path(settings.output_dir) if settings.output_dir else folder
    there = answer_files.require_existing_samples(folder, "sample")
    run = open_step(output, Path(__file__).name, settings, MAY_DIFFER, source=folder)
    todo = list(answer_files.sample_keys(there, without=answer_files.existing_samples(output, "converted")))
    answers = sum(bits.bit_count() for bits in there.values())
    print(f"{folder}: {answers} answers, {answers - len(todo)} converted before")
    outcome, failures, report, bill = convert_by_rules(todo, folder, output, settings), Failures(), [], {}
    if settings.rules != "never":
        print(outcome.report())
    for name, reason in outcome.failed:
        failures.add(name, reason)
    if outcome.undecided:
        report, bill = by_llm(outcome.undecided, output, settings, failures)
    missing = sum(
        1 for _ in answer_files.sample_keys(there, without=answer_files.existing_samples(output, "converted"))
    )
    run.close(converted=len(todo) - missing, missing=missing, rules=dict(outcome.rules), **bill)
    report += [failures.report()] if failures else []
    print("\n".join([f"{len(todo) - missing} converted into {output}, {missing} not", *report]))
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main, globals())
