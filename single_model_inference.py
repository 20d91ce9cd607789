"""Step 1a: one model answers problems, NUM_SAMPLES times each.

Reads problems and asks an OpenAI-compatible server (vLLM); writes question_*_sample_*.json, one per sample, and
run.json. A sample that has a file is not sampled again, so a killed run resumes with the missing samples.

    python single_model_inference.py --model instruct --output_dir runs/lab/instruct
    python single_model_inference.py --problems mbppplus --prompt_style evalplus --output_dir runs/mbppplus/instruct
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.files.runs import open_run, require_same_settings
from hindsight.merging.alphas import AlphaRule
from hindsight.sampling.loop import RunLimits, SamplingLoop
from hindsight.sampling.samples import MissingSamples, ProblemChoice, Sample, SampleCount
from hindsight.servers.alpha_dial import header_of
from hindsight.servers.checks import PromptedModel
from hindsight.servers.client import ModelServer, open_servers
from hindsight.servers.replies import Completion, ItemFailed
from hindsight.servers.requests import (
    MOST_STOP_WORDS,
    ask_model,
    logprob_keys,
    read_extra_body,
    refused_part,
    require_distribution,
)
from hindsight.settings import Settings, run_script
from hindsight.text import few_shot
from hindsight.text.prompt_styles import prompts_of_style
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import ends_in_thought

# fmt: off
MODEL = "instruct"                        # which model answers: base (a text prompt) or instruct (chat messages)
BASE_MODEL = "lab-base"                   # the base model's name on the server; the paper: meta-llama/Llama-3.1-8B
INSTRUCT_MODEL = "lab-instruct"           # the instruct model's; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
MERGED_FROM = []                          # base, fine-tuned model, alpha and ALPHA_OF of a merged model, for the record
BASE_URLS = ["http://localhost:8000/v1"]  # the model's servers, one or more; none: OPENAI_BASE_URL, else the OpenAI API
OUTPUT_DIR = "runs/lab/{model}"           # the run's folder; {model} stands for MODEL

PROBLEMS = "lab"  # lab, a set by name (mbppplus, ...: docs/problem_sets.md), a file or a Hub name; the paper: BAAI/TACO
SPLIT = "test"    # part of the problem set; empty: all of a file or the lab, a named set's first part; the paper: train
DIFFICULTY = ""   # EASY, MEDIUM, ... as the set names them, empty: all; the paper: MEDIUM
FROM = ""         # first date of the problems, such as 2024-08-01; empty: all
UNTIL = ""        # last date; empty: all
BEGIN_IDX = 0     # first problem, counted within the split and difficulty
END_IDX = 0       # one past the last problem; 0: all
SHARD = 0         # the part of these problems that this process samples, counted from 0
SHARDS = 1        # the number of parts
LOCKS = True      # lock each sample against other processes; false, for disks without locks: shards divide the work

NUM_SAMPLES = 10                   # answers per problem; the paper: 10
MAX_TOKENS = 512                   # longest answer, in tokens; the paper: 8192
BASE_TEMPERATURE = 0.8             # temperature of the base model; the paper: 0.8
BASE_TOP_P = 0.95                  # top_p of the base model; the paper: 0.95
INSTRUCT_TEMPERATURE = 0.7         # temperature of the instruct model; the paper: 0.7
INSTRUCT_TOP_P = 0.7               # top_p of the instruct model; the paper: 0.7
BASE_STOP = ["<end_of_solution>"]  # strings that end a base model's answer; kept in it
SEED = 0                           # the run's seed; each sample's seed is derived from it
LOGPROBS = 0                       # 1: record each token's id and log-probability

PROMPT_STYLE = ""     # empty: thought and solution; code alone: evalplus, evalplus_openai (no prefix), few_shot (base)
EXAMPLES = ""         # with few_shot: a file of problems with programs, all of which the prompt shows
PROMPT_FILE = ""      # a Jinja file with your own prompts (see hindsight/text/prompts.py); empty: ours
SYSTEM_PROMPT = True  # false: no system message, and no instruction to use the uniform format
EXTRA_BODY = ""       # further keys of each request, JSON: '{"chat_template_kwargs": {"enable_thinking": true}}'

CONCURRENCY = 256             # requests in flight per server
WAIT_FOR_SERVER = 0           # seconds a server may take to start
SERVER_DEADLINE = 600         # seconds a server may stay away during the run
REQUEST_TIMEOUT = 7200        # seconds one answer may take
DRY_RUN = False               # only check the servers and show the prompts
ONLY_COUNT = False            # only count the missing samples, without a server: exit status 0 none, 1 some
ALLOW_OTHER_SETTINGS = False  # continue a folder that was made with other settings
# fmt: on

# Settings that may differ between two calls that write into one folder, because they do not affect the answers.
MAY_DIFFER = ("output_dir", "begin_idx", "end_idx", "shard", "shards", "num_samples", "concurrency", "wait_for_server")
MAY_DIFFER += ("locks", "server_deadline", "request_timeout", "dry_run", "only_count", "base_urls")
# The same for the settings of the model that MODEL does not name.
OF_THE_OTHER_MODEL = {
    "base": ("instruct_model", "instruct_temperature", "instruct_top_p"),
    "instruct": ("base_model", "base_temperature", "base_top_p", "base_stop"),
}


@dataclass(frozen=True)
class Sampling:
    """The settings of a request, and the parents of a merged model."""

    model: str
    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...]
    logprobs: int
    merged_from: tuple[str, ...]
    extra_body: dict[str, Any]

    def __post_init__(self) -> None:
        require(self.logprobs in (0, 1), f"LOGPROBS is 0 or 1, not {self.logprobs}")
        require_distribution(self.temperature, self.top_p)
        self.parents()

    def request(self, sample: Sample) -> dict[str, Any]:
        """The request for a sample, except its prompt."""
        limits = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        return {"model": self.model, **limits, "seed": sample.seed, **self.extra_body}

    def parents(self) -> dict[str, Any]:
        """A record's entry on the merge; empty for a model that is not merged. Raises UserError if it is malformed."""
        if not self.merged_from:
            return {}
        try:
            base, finetuned, alpha, *parts = self.merged_from
            rule = AlphaRule.parse(float(alpha), parts, extrapolate=True)
            return {"merged_from": {"base": base, "finetuned": finetuned, "alpha": rule.to_json()}}
        except ValueError:
            given = " ".join(self.merged_from)
            raise UserError(f"MERGED_FROM is a base, a fine-tuned model and an alpha, not {given}") from None

    def require_alpha(self, servers: Sequence[ModelServer]) -> None:
        """Raises UserError if the alpha of a server that merges is not that of MERGED_FROM."""
        alpha = header_of(self.parents()["merged_from"]["alpha"]) if self.merged_from else None
        for server in servers:
            if server.dial and server.dial.header != alpha:
                dial = server.dial
                words = " ".join(AlphaRule.from_json(dial.alpha, extrapolate=True).words)
                advice = f"--merged_from {dial.base} {dial.finetuned} {words}"
                says = f"MERGED_FROM says {alpha}" if alpha else "MERGED_FROM is empty"
                raise UserError(f"{server.url} merges at alpha {dial.header}, but {says}: give {advice}")


async def answer_with_base(sample: Sample, server: ModelServer, prompts: Prompts, sampling: Sampling) -> dict[str, Any]:
    """Asks a base model to continue a transcript; its answer includes the thought tag that ends the transcript."""
    prompt, stop = prompts.transcript(sample.problem), prompts.stop_words("base", sample.problem)[:MOST_STOP_WORDS]
    request = {
        **sampling.request(sample),
        **({"stop": stop} if stop else {"stop": list(sampling.stop), "include_stop_str_in_output": True}),
        **(logprob_keys(prompt) if sampling.logprobs else {}),
    }
    answer, sent = await ask_model(server, prompt, request)
    return sample.record(
        prompt=prompt,
        generated_text=prompts.thought_opening(sample.problem) + answer.text,
        thought_open=ends_in_thought(prompt, sample.problem["question"]),
        **prompts.marks("base", sample.problem),
        **facts(answer, sent, sampling),
    )


async def answer_with_instruct(
    sample: Sample, server: ModelServer, model: PromptedModel, prompts: Prompts, sampling: Sampling
) -> dict[str, Any]:
    """Asks an instruct model by chat messages. vLLM's log-probabilities are those before temperature and top_p."""
    messages, stop = model.prompt(sample.problem), prompts.stop_words("instruct", sample.problem)[:MOST_STOP_WORDS]
    more = logprob_keys(messages) if sampling.logprobs else {}
    try:
        answer, sent = await ask_model(
            server, messages, {**sampling.request(sample), **more, **({"stop": stop} if stop else {})}
        )
    except ItemFailed as refusal:
        if part := refused_part(str(refusal), messages):
            raise ItemFailed(f"{refusal}: give {part.flag}") from None
        raise
    text, cut = answer.whole_text()
    opens = cut if answer.thought else model.opens_thought
    return sample.record(
        prompt=messages,
        generated_text=text,
        **({} if opens is None else {"thought_open": opens}),
        **prompts.marks("instruct", sample.problem),
        **facts(answer, sent, sampling),
    )


def facts(answer: Completion, sent: dict[str, Any], sampling: Sampling) -> dict[str, Any]:
    """What a record has besides prompt and text: what was sent, how the answer ended, and its tokens."""
    return {
        "generation_config": sent,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        **answer.other_name(sampling.model),
        **sampling.parents(),
        **({"token_ids": answer.token_ids, "logprobs": answer.logprobs} if sampling.logprobs else {}),
    }


async def _main(settings: Settings) -> int:
    require(settings.model in OF_THE_OTHER_MODEL, f"MODEL is base or instruct, not {settings.model!r}")
    role, folder = settings.model, Path(settings.output_dir.replace("{model}", settings.model))
    model, temperature, top_p = (settings[f"{role}_{name}"] for name in ("model", "temperature", "top_p"))
    own = {"model": model, "temperature": temperature, "top_p": top_p}
    text_only = role == "instruct" and settings.prompt_style == few_shot.STYLE
    require(not text_only, f"PROMPT_STYLE {few_shot.STYLE} is a text for a base model to continue: give --model base")
    asks = settings.prompt_style, settings.prompt_file, settings.system_prompt, settings.examples
    prompts = prompts_of_style(*asks)
    extra = {**read_extra_body(settings.extra_body), **prompts.extra_body(role)}
    sampling = settings.pick(Sampling, **own, stop=settings.base_stop, extra_body=extra)

    choice = settings.pick(ProblemChoice, first_day=settings["from"], last_day=settings.until)
    missing = MissingSamples(folder, choice, settings.pick(SampleCount))
    print(missing)
    script, may_differ = Path(__file__).name, MAY_DIFFER + OF_THE_OTHER_MODEL[role]
    if settings.only_count or not settings.dry_run:
        require_same_settings(folder, script, settings, may_differ, problems=missing.chosen)
    if settings.only_count:
        missing.require_whole_files()
        return 1 if missing else 0
    async with open_servers(settings.base_urls, model, settings.server_deadline, settings.request_timeout) as servers:
        prompt = prompts.transcript if role == "base" else prompts.chat
        asked = PromptedModel(role, servers, prompt, extra, sampling.logprobs)
        loop = SamplingLoop(missing, [asked], [(server,) for server in servers], settings.pick(RunLimits))
        async for sentence in loop.check():
            print(sentence)
        sampling.require_alpha(servers)
        if settings.dry_run:
            return 0
        entry = open_run(folder, script, settings, may_differ, **loop.facts())
        ask = answer_with_base if role == "base" else partial(answer_with_instruct, model=asked)
        answer = partial(ask, prompts=prompts, sampling=sampling)
        await loop.write_answers(answer, entry)
    print(*loop.report(), sep="\n")
    return 1 if loop.still_missing else 0


def main(settings: Settings) -> int:
    return asyncio.run(_main(settings))


if __name__ == "__main__":
    run_script(main, globals())
