"""Step 1b: a base and an instruct model take turns in one answer.

One model writes P tokens, the other K tokens, and so on until a model ends the answer or it has TOTAL_NEW_TOKENS.
Reads problems and asks two vLLM servers, which may have one address; writes the files that single_model_inference.py
writes, with who wrote what in `segments`.

    python switching_inference.py --output_dir runs/lab/switching
"""

import asyncio
import random
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.problem_sets.problems import Problem
from hindsight.sampling import loop
from hindsight.sampling.loop import Method, Sample, sample_seed
from hindsight.sampling.turns import Joint, TurnModel, TurnsAnswer, find_joint, parse_turn_length, write_in_turns
from hindsight.servers.checks import PromptedModel
from hindsight.servers.client import REQUEST_ERRORS, ModelServer, ServerAway, TryAgain
from hindsight.servers.requests import detokenize, tokenize, tokenize_open
from hindsight.settings import Settings, run_script
from hindsight.text.prompts import Prompts

# fmt: off
BASE_MODEL = "lab-base"            # its name on its servers; the paper: meta-llama/Llama-3.1-8B
INSTRUCT_MODEL = "lab-instruct"    # its name on its servers; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
BASE_MODEL_URLS = ["http://localhost:8000/v1"]  # the base model's servers, one or more
INSTRUCT_MODEL_URLS = ["http://localhost:8001/v1"]  # the instruct model's servers; may be the same
OUTPUT_DIR = "runs/lab/switching"  # the run's folder

PROBLEMS = "lab"  # lab, a file (.jsonl, .parquet, .arrow) or a Hub name; the paper: BAAI/TACO
SPLIT = "test"    # part of the problem set, empty: all; the paper: train
DIFFICULTY = ""   # EASY, MEDIUM, ... as the set names them, empty: all; the paper: MEDIUM
BEGIN_IDX = 0     # first problem, counted within the split and difficulty
END_IDX = 0       # one past the last problem; 0: all
SHARD = 0         # which part of these problems this process does, counted from 0
SHARDS = 1        # into how many parts they are divided

NUM_SAMPLES = 10              # answers per problem; the paper: 10
K = "10"                      # tokens of a base model's turn: "10", "5-15" uniform, "geometric 10"; the paper: 50
P = "40"                      # tokens of an instruct model's turn, likewise; the paper: 300
FIRST = "instruct"            # who begins: instruct, base, or random (by the sample's seed)
TOTAL_NEW_TOKENS = 512        # longest answer of both together, in tokens; the paper: 8192
BASE_TEMPERATURE = 0.8        # the paper: 0.8
BASE_TOP_P = 0.95             # the paper: 0.95
INSTRUCT_TEMPERATURE = 0.7    # the paper: 0.7
INSTRUCT_TOP_P = 0.7          # the paper: 0.7
STOP = ["<end_of_solution>"]  # strings that end an answer; kept in it
SEED = 0                      # of the run; each sample's and turn's own is derived from it
LOGPROBS = 0                  # 1: record each token's id and log-probability under the model that wrote it

PROMPT_FILE = ""      # a Jinja file with prompts of your own (see hindsight/text/prompts.py); empty: ours
SYSTEM_PROMPT = True  # false: no system message, so no format is asked for

CONCURRENCY = 256             # answers in flight, a pair of servers
WAIT_FOR_SERVER = 0           # seconds to wait for a server that is still starting
SERVER_DEADLINE = 600         # seconds a server may stay away during the run before it is given up
REQUEST_TIMEOUT = 7200        # seconds one turn may take
DRY_RUN = False               # only look at the servers and show the prompts
ALLOW_OTHER_SETTINGS = False  # go on in a folder that was made with other settings
# fmt: on

# Settings that may change between two calls that write into one folder: they do not change what an answer is.
MAY_DIFFER = ("output_dir", "begin_idx", "end_idx", "shard", "shards", "num_samples", "concurrency", "wait_for_server")
MAY_DIFFER += ("server_deadline", "request_timeout", "dry_run", "base_model_urls", "instruct_model_urls")
KEPT_PROMPTS = 1024  # problems whose prompts' token ids are remembered: all samples of a problem come together


class Switching:
    """Answers by both models in turns. Both are prompted with an open thought, with which every answer begins."""

    def __init__(self, settings: Settings, prompts: Prompts):
        self.settings, self.prompts = settings, prompts
        self.turn_lengths = {"base": parse_turn_length(settings.k), "instruct": parse_turn_length(settings.p)}
        self.joint = Joint(by_tokens=True)
        self._unfinished: dict[str, TurnsAnswer] = {}
        self._prompts: OrderedDict[int, asyncio.Future] = OrderedDict()

    def servers(self, role: str) -> list[ModelServer]:
        """The servers of a model."""
        settings = self.settings
        urls, model = settings[f"{role}_model_urls"], settings[f"{role}_model"]
        require(bool(urls), f"{role.upper()}_MODEL_URLS is empty: switching needs vLLM servers")
        return [ModelServer(url, model, settings.server_deadline, settings.request_timeout) for url in urls]

    async def find_joint(self, instruct: ModelServer, base: ModelServer, problem: Problem) -> list[str]:
        """Finds out how turns are joined, and says it."""
        texts = [self.prompts.transcript(problem), str(problem["question"])]
        try:
            self.joint = await find_joint(("instruct", instruct), ("base", base), texts)
        except REQUEST_ERRORS as error:
            raise UserError(f"switching needs vLLM's /tokenize and /detokenize: {error}") from None
        if not self.joint.by_tokens:
            return ["the two tokenizers differ: turns are joined as text, not as tokens"]
        foreign = len(self.joint.foreign["base"])
        said = f"; {foreign} ids mean something else to the other model and go to it as their text" if foreign else ""
        return [f"the two tokenizers are one: turns are joined as tokens{said}"]

    async def answer(self, sample: Sample, instruct: ModelServer, base: ModelServer) -> dict[str, Any]:
        """A sample's record."""
        settings = self.settings
        writers = {
            role: TurnModel(
                role, server, self.turn_lengths[role], settings[f"{role}_temperature"], settings[f"{role}_top_p"]
            )
            for role, server in (("instruct", instruct), ("base", base))
        }
        order = self.order(sample)
        result = self._unfinished.pop(sample.name, None)
        result = result or TurnsAnswer(dict(await self.prompts_of(sample.problem, instruct, base)))
        try:
            await write_in_turns(
                result,
                [writers[role] for role in order],
                self.joint,
                settings.total_new_tokens,
                list(settings.stop),
                seed_of_turn=lambda turn: sample_seed(sample.seed, sample.problem["question_id"], turn),
                logprobs=bool(settings.logprobs),
            )
        except (TryAgain, ServerAway):  # it is tried again, and goes on with the turn that failed
            self._unfinished[sample.name] = result
            raise
        opening = self.prompts.opening(sample.problem)
        return sample.record(
            prompt={"instruct": self.prompts.chat(sample.problem), "base": self.prompts.transcript(sample.problem)},
            generated_text=opening + result.text,
            segments=[shift(segment, len(opening)) for segment in result.segments],
            generation_config=self.generation_config(sample, order),
            finish_reason=result.finish_reason,
            usage={"prompt_tokens": result.prompt_tokens, "completion_tokens": result.tokens},
            **({"token_ids": result.ids, "logprobs": result.logprobs} if settings.logprobs else {}),
        )

    def order(self, sample: Sample) -> tuple[str, str]:
        """Who begins, and who goes on."""
        base_first = self.settings.first == "base"
        if self.settings.first == "random":
            base_first = random.Random(sample.seed).random() < 0.5
        return ("base", "instruct") if base_first else ("instruct", "base")

    async def prompts_of(self, problem: Problem, instruct: ModelServer, base: ModelServer) -> dict[str, Any]:
        """What each model's answer follows, by role: token ids, or text where turns are joined as text."""
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
        """The chat template is rendered once a problem, and never again with a part of the answer in it."""
        opening = self.prompts.opening(problem)
        chat = await tokenize(instruct, self.prompts.chat(problem))
        if self.joint.by_tokens:
            opened = chat + (await tokenize_open(instruct, opening, special=False) if opening else [])
            return {"instruct": opened, "base": await tokenize_open(base, self.prompts.transcript(problem))}
        transcript = await tokenize(base, self.prompts.transcript(problem))
        return {"instruct": await detokenize(instruct, chat) + opening, "base": await detokenize(base, transcript)}

    def generation_config(self, sample: Sample, order: tuple[str, str]) -> dict[str, Any]:
        """What was sent, per model; a turn's own seed and limit are in its segment."""
        settings = self.settings
        models = {
            role: {
                "model": settings[f"{role}_model"],
                "temperature": settings[f"{role}_temperature"],
                "top_p": settings[f"{role}_top_p"],
                "tokens_a_turn": settings[name],
            }
            for role, name in (("base", "k"), ("instruct", "p"))
        }
        return {
            **models,
            "first": order[0],
            "total_new_tokens": settings.total_new_tokens,
            "stop": list(settings.stop),
            "include_stop_str_in_output": True,
            "joined_by": "tokens" if self.joint.by_tokens else "text",
            "seed": sample.seed,
        }


def shift(segment: dict[str, Any], by: int) -> dict[str, Any]:
    """A segment whose offsets count from the start of `generated_text`, the opening included."""
    return {**segment, "start": segment["start"] + by, "end": segment["end"] + by}


def make_method(settings: Settings, prompts: Prompts) -> Method:
    """The two models, and how they make an answer."""
    switching = Switching(settings, prompts)
    instruct, base = switching.servers("instruct"), switching.servers("base")
    asked = [PromptedModel("instruct", instruct, prompts.chat), PromptedModel("base", base, prompts.transcript)]
    pairs = max(len(instruct), len(base))
    routes = [(instruct[number % len(instruct)], base[number % len(base)]) for number in range(pairs)]
    prepare = partial(switching.find_joint, instruct[0], base[0])
    return Method(asked, routes, switching.answer, settings.total_new_tokens, prepare)


def main(settings: Settings) -> int:
    who = ("instruct", "base", "random")
    require(settings.first in who, f"FIRST is instruct, base or random, not {settings.first!r}")
    prompts = Prompts(settings.prompt_file, settings.system_prompt)
    make = partial(make_method, settings, prompts)
    return loop.run(Path(__file__).name, Path(settings.output_dir), make, settings, MAY_DIFFER, say=print)


if __name__ == "__main__":
    run_script(main, globals())
