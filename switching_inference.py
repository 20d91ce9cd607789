"""Step 1b: a base and an instruct model take turns in one answer.

The instruct model writes P tokens and the base model K tokens, in turn, until one of them ends the answer or the answer
has TOTAL_NEW_TOKENS. Reads problems and asks two vLLM servers, which may be the same one; writes the same files as
single_model_inference.py, and in `segments` which model wrote which part.

    python switching_inference.py --output_dir runs/lab/switching
"""

import asyncio
import random
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.files.runs import open_run, require_same_settings
from hindsight.problem_sets.problems import Problem
from hindsight.sampling.loop import RunLimits, SamplingLoop
from hindsight.sampling.samples import MissingSamples, ProblemChoice, Sample, SampleCount, sample_seed
from hindsight.sampling.turns import AnswerLimits, TurnModel, TurnsAnswer, parse_turn_length, write_in_turns
from hindsight.sampling.vocabulary import SharedVocabulary, find_shared_vocabulary
from hindsight.servers.checks import PromptedModel
from hindsight.servers.client import REQUEST_ERRORS, ModelServer, ServerAway, TryAgain, open_servers
from hindsight.servers.requests import (
    Prompt,
    detokenize,
    read_extra_body,
    require_distribution,
    tokenize,
    tokenize_open,
    without_template_keys,
)
from hindsight.settings import Settings, run_script
from hindsight.text import few_shot
from hindsight.text.prompt_styles import prompts_of_style
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import ends_in_thought

# fmt: off
BASE_MODEL = "lab-base"            # the base model's name on its servers; the paper: meta-llama/Llama-3.1-8B
INSTRUCT_MODEL = "lab-instruct"    # the instruct model's; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
BASE_MODEL_URLS = ["http://localhost:8000/v1"]  # the base model's servers, one or more
INSTRUCT_MODEL_URLS = ["http://localhost:8001/v1"]  # the instruct model's servers; may be the same ones
OUTPUT_DIR = "runs/lab/switching"  # the run's folder

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

NUM_SAMPLES = 10              # answers per problem; the paper: 10
K = "10"                      # tokens of a base model's turn: "10", "5-15" uniform, "geometric 10"; the paper: 50
P = "40"                      # tokens of an instruct model's turn, in the same forms; the paper: 300
FIRST = "instruct"            # the model of the first turn: instruct, base, or random (by the sample's seed)
TOTAL_NEW_TOKENS = 512        # longest answer, in tokens of both models together; the paper: 8192
BASE_TEMPERATURE = 0.8        # temperature of the base model; the paper: 0.8
BASE_TOP_P = 0.95             # top_p of the base model; the paper: 0.95
INSTRUCT_TEMPERATURE = 0.7    # temperature of the instruct model; the paper: 0.7
INSTRUCT_TOP_P = 0.7          # top_p of the instruct model; the paper: 0.7
STOP = ["<end_of_solution>"]  # strings that end an answer; kept in it
SEED = 0                      # the run's seed; each sample's and turn's seed is derived from it
LOGPROBS = 0                  # 1: record each token's id and log-probability under the model that wrote it

BASE_IN_CHAT = False  # true: the base model is asked in chat too, for a base that is itself a chat model
PROMPT_STYLE = ""     # empty: thought and solution; evalplus: code alone, as EvalPlus asks
PROMPT_FILE = ""      # a Jinja file with your own prompts (see hindsight/text/prompts.py); empty: ours
SYSTEM_PROMPT = True  # false: no system message, and no instruction to use the uniform format
EXTRA_BODY = ""       # further keys of each request, JSON: '{"chat_template_kwargs": {"enable_thinking": true}}'

CONCURRENCY = 256             # answers in flight per pair of servers
WAIT_FOR_SERVER = 0           # seconds a server may take to start
SERVER_DEADLINE = 600         # seconds a server may stay away during the run
REQUEST_TIMEOUT = 7200        # seconds one turn may take
DRY_RUN = False               # only check the servers and show the prompts
ALLOW_OTHER_SETTINGS = False  # continue a folder that was made with other settings
# fmt: on

# Settings that may differ between two calls that write into one folder, because they do not affect the answers.
MAY_DIFFER = ("output_dir", "begin_idx", "end_idx", "shard", "shards", "num_samples", "concurrency", "wait_for_server")
MAY_DIFFER += ("locks", "server_deadline", "request_timeout", "dry_run", "base_model_urls", "instruct_model_urls")
ROLES = ("instruct", "base")
# The number of problems whose token ids are kept for their next samples.
KEPT_PROMPTS = 1024


@dataclass(frozen=True)
class RoleOptions:
    """How one of the two models is asked; `tokens_a_turn` is K or P as the user wrote it."""

    model: str
    temperature: float
    top_p: float
    tokens_a_turn: str

    def __post_init__(self) -> None:
        require_distribution(self.temperature, self.top_p)


class Switching:
    """Answers by both models in turns. Both prompts end with an open thought, with which every answer starts; in a
    prompt style they end with a begun code block, or with a docstring, and the answer is the code that follows.

    `first` is the setting FIRST, `extra_body` EXTRA_BODY with what the prompts add to it; `vocabulary` is None if the
    two tokenizers differ, and turns are then joined as text.
    """

    def __init__(
        self,
        roles: dict[str, RoleOptions],
        limits: AnswerLimits,
        first: str,
        prompts: Prompts,
        extra_body: dict,
        base_in_chat: bool,
    ):
        require(first in (*ROLES, "random"), f"FIRST is instruct, base or random, not {first!r}")
        self.roles, self.limits, self.first, self.prompts = roles, limits, first, prompts
        self.extra_body, self.base_in_chat = extra_body, base_in_chat
        self.turn_lengths = {role: parse_turn_length(options.tokens_a_turn) for role, options in roles.items()}
        self.vocabulary: SharedVocabulary | None = None
        self._unfinished: dict[str, TurnsAnswer] = {}
        self._prompts: OrderedDict[int, asyncio.Future[dict[str, Any]]] = OrderedDict()

    async def find_vocabulary(self, instruct: ModelServer, base: ModelServer, problem: Problem) -> str:
        """Finds out whether turns can be joined as tokens; returns a sentence that reports it."""
        texts = [self.prompts.transcript(problem), str(problem["question"])]
        try:
            self.vocabulary = await find_shared_vocabulary(("instruct", instruct), ("base", base), texts)
        except REQUEST_ERRORS as error:
            raise UserError(f"switching needs vLLM's /tokenize and /detokenize: {error}") from None
        if self.vocabulary is None:
            return "the two tokenizers differ: turns are joined as text, not as tokens"
        differing = len(self.vocabulary.translations["base"])
        more = f"; {differing} ids have different texts and reach the other model as their text" if differing else ""
        return f"the two tokenizers agree: turns are joined as tokens{more}"

    async def answer(self, sample: Sample, instruct: ModelServer, base: ModelServer) -> dict[str, Any]:
        """A sample's record. If a turn fails, the earlier turns are kept, and the next attempt resumes after them."""
        order = self.order(sample)
        answer = self._unfinished.pop(sample.name, None)
        answer = answer or TurnsAnswer(dict(await self.prompts_of(sample.problem, instruct, base)))
        servers, limits = {"instruct": instruct, "base": base}, self.limits_of(sample.problem)
        try:
            await write_in_turns(
                answer,
                [self.turn_model(role, servers[role]) for role in order],
                self.vocabulary,
                limits,
                seed_of_turn=lambda turn: sample_seed(sample.seed, sample.problem["question_id"], turn),
            )
        except (TryAgain, ServerAway):
            self._unfinished[sample.name] = answer
            raise
        opening, ids = self.prompts.thought_opening(sample.problem), answer.ids if self.vocabulary else None
        for segment in answer.segments:  # their offsets count from the start of `generated_text`
            segment |= {edge: segment[edge] + len(opening) for edge in ("start", "end")}
        return sample.record(
            prompt={role: self.prompt(role, sample.problem) for role in ROLES},
            generated_text=opening + answer.text,
            segments=answer.segments,
            thought_open=ends_in_thought(self.prompts.transcript(sample.problem), sample.problem["question"]),
            **self.marks(sample.problem),
            generation_config=self.generation_config(sample, order, servers),
            finish_reason=answer.finish_reason,
            usage={**answer.prompt_usage, "completion_tokens": answer.tokens},
            **({"token_ids": ids, "logprobs": answer.logprobs} if self.limits.logprobs else {}),
        )

    def prompt(self, role: str, problem: Problem) -> Prompt:
        """What a model is asked. Raises UserError if the two prompts are not continued by the same text."""
        if role == "instruct" or self.base_in_chat:
            return self.prompts.chat(problem)
        same = self.prompts.same_answer(problem)
        where = f"question {problem.get('question_id')}"
        require(same, f"{where}: code does not continue the base model's text as it does the chat: give --base_in_chat")
        return self.prompts.transcript(problem)

    def limits_of(self, problem: Problem) -> AnswerLimits:
        """What ends an answer: in a prompt style the stop words of both prompts, taken from each in turn."""
        asked = ("instruct",) if self.base_in_chat else ROLES
        words = zip_longest(*(self.prompts.stop_words(role, problem) for role in asked))
        stop = tuple(dict.fromkeys(word for pair in words for word in pair if word))
        return replace(self.limits, stop=stop) if stop else self.limits

    def marks(self, problem: Problem) -> dict[str, Any]:
        """What a record says about how the models were asked, for step 2: the chat's marks, with all stop words."""
        marks = self.prompts.marks("instruct", problem)
        return {**marks, "stop_words": list(self.limits_of(problem).stop)} if marks else {}

    def turn_model(self, role: str, server: ModelServer) -> TurnModel:
        """One of the two models on one of its servers."""
        options, extra = self.roles[role], without_template_keys(self.extra_body)
        return TurnModel(role, server, self.turn_lengths[role], options.temperature, options.top_p, extra)

    def order(self, sample: Sample) -> tuple[str, str]:
        """The role of the first turn, and the role of the second."""
        base_first = self.first == "base" or (self.first == "random" and random.Random(sample.seed).random() < 0.5)
        return ("base", "instruct") if base_first else ("instruct", "base")

    async def prompts_of(self, problem: Problem, instruct: ModelServer, base: ModelServer) -> dict[str, Any]:
        """The input of each model's first turn, by role: token ids, or text where turns are joined as text."""
        question = problem["question_id"]
        if question not in self._prompts:
            self._prompts[question] = asyncio.ensure_future(self._render(problem, instruct, base))
            if len(self._prompts) > KEPT_PROMPTS:
                self._prompts.popitem(last=False)
        try:
            return await asyncio.shield(self._prompts[question])
        except REQUEST_ERRORS:
            self._prompts.pop(question, None)
            raise

    async def _render(self, problem: Problem, instruct: ModelServer, base: ModelServer) -> dict[str, Any]:
        """Renders the chat template once per problem; the answer itself never goes through the template."""
        return {
            role: await self._input(role, problem, server) for role, server in zip(ROLES, (instruct, base), strict=True)
        }

    async def _input(self, role: str, problem: Problem, server: ModelServer) -> list[int] | str:
        prompt, opening = self.prompt(role, problem), self.prompts.thought_opening(problem)
        if isinstance(prompt, str):
            by_tokens = self.vocabulary is not None
            return await (tokenize_open(server, prompt) if by_tokens else _as_the_model_sees(server, prompt))
        chat = await tokenize(server, prompt, more=self.extra_body)
        if not self.vocabulary:
            return await detokenize(server, chat) + opening
        return chat + (await tokenize_open(server, opening, special=False) if opening else [])

    def generation_config(
        self, sample: Sample, order: tuple[str, str], servers: dict[str, ModelServer]
    ) -> dict[str, Any]:
        """What was sent, per model; a turn's own seed and limit are in its segment."""
        asked = {role: asdict(self.roles[role]) for role in ("base", "instruct")}
        return {
            **{role: servers[role].dialect.recorded(options) for role, options in asked.items()},
            **({"extra_body": self.extra_body} if self.extra_body else {}),
            "first": order[0],
            "total_new_tokens": self.limits.total_tokens,
            "stop": list(self.limits_of(sample.problem).sent_stop),
            "include_stop_str_in_output": True,
            "joined_by": "tokens" if self.vocabulary else "text",
            "seed": sample.seed,
        }


async def _as_the_model_sees(server: ModelServer, text: str) -> str:
    """A text with the special tokens that the tokenizer puts around it."""
    return await detokenize(server, await tokenize(server, text))


def pair_servers(instruct: list[ModelServer], base: list[ModelServer]) -> list[tuple[ModelServer, ModelServer]]:
    """A pair for each server of the model that has more; the other model's servers are used in turn."""
    pairs = max(len(instruct), len(base))
    return [(instruct[number % len(instruct)], base[number % len(base)]) for number in range(pairs)]


async def _main(settings: Settings) -> int:
    require(settings.logprobs in (0, 1), f"LOGPROBS is 0 or 1, not {settings.logprobs}")
    for role in ROLES:
        name = f"{role}_model_urls"
        require(bool(settings[name]), f"{name.upper()} is empty: switching needs vLLM servers")
    require(
        settings.prompt_style != few_shot.STYLE,
        f"PROMPT_STYLE {few_shot.STYLE} is not a chat prompt for the instruct model",
    )
    prompts = prompts_of_style(settings.prompt_style, settings.prompt_file, settings.system_prompt)
    turns = {"base": settings.k, "instruct": settings.p}
    extra = {**read_extra_body(settings.extra_body), **prompts.extra_body("instruct")}
    roles = {
        role: RoleOptions(
            settings[f"{role}_model"], settings[f"{role}_temperature"], settings[f"{role}_top_p"], turns[role]
        )
        for role in ROLES
    }
    limits = AnswerLimits(settings.total_new_tokens, settings.stop, bool(settings.logprobs))
    switching = Switching(roles, limits, settings.first, prompts, extra, settings.base_in_chat)

    folder = Path(settings.output_dir)
    choice = settings.pick(ProblemChoice, first_day=settings["from"], last_day=settings.until)
    missing = MissingSamples(folder, choice, settings.pick(SampleCount))
    print(missing)
    script = Path(__file__).name
    if not settings.dry_run:
        require_same_settings(folder, script, settings, MAY_DIFFER, problems=missing.chosen)
    patience = settings.server_deadline, settings.request_timeout
    async with (
        open_servers(settings.instruct_model_urls, settings.instruct_model, *patience) as instruct,
        open_servers(settings.base_model_urls, settings.base_model, *patience) as base,
    ):
        of_base = extra if settings.base_in_chat else without_template_keys(extra)
        models = [
            PromptedModel("instruct", instruct, partial(switching.prompt, "instruct"), extra, settings.logprobs),
            PromptedModel("base", base, partial(switching.prompt, "base"), of_base, settings.logprobs),
        ]
        run_limits = settings.pick(RunLimits, max_tokens=settings.total_new_tokens)
        loop = SamplingLoop(missing, models, pair_servers(instruct, base), run_limits)
        async for sentence in loop.check(lambda: switching.find_vocabulary(instruct[0], base[0], missing.problems[0])):
            print(sentence)
        if settings.dry_run:
            return 0
        entry = open_run(folder, script, settings, MAY_DIFFER, **loop.facts())
        await loop.write_answers(switching.answer, entry)
    print(*loop.report(), sep="\n")
    return 1 if loop.still_missing else 0


def main(settings: Settings) -> int:
    return asyncio.run(_main(settings))


if __name__ == "__main__":
    run_script(main, globals())
