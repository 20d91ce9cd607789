"""Step 1a: one model answers problems, NUM_SAMPLES times each.

Reads problems and asks an OpenAI-compatible server (vLLM); writes question_*_sample_*.json, one a sample, and run.json.
Samples that have a file are not asked for again, so a run that was killed goes on where it was.

    python single_model_inference.py --model instruct --output_dir runs/lab/instruct
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.sampling import loop
from hindsight.sampling.loop import Method, Sample
from hindsight.servers.checks import PromptedModel
from hindsight.servers.client import ModelServer
from hindsight.servers.requests import ask_model, usage
from hindsight.settings import Settings, run_script
from hindsight.text.prompts import Prompts

# fmt: off
MODEL = "instruct"                        # which model answers: base (a text prompt) or instruct (chat messages)
BASE_MODEL = "lab-base"                   # its name on the server; the paper: meta-llama/Llama-3.1-8B
INSTRUCT_MODEL = "lab-instruct"           # its name on the server; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
MERGED_FROM = []                          # of a merged model, recorded with its answers: base, fine-tuned model, alpha
BASE_URLS = ["http://localhost:8000/v1"]  # its servers, one or more; none: OPENAI_BASE_URL, else the OpenAI API
OUTPUT_DIR = "runs/lab/{model}"           # the run's folder; {model} stands for MODEL

PROBLEMS = "lab"  # lab, a file (.jsonl, .parquet, .arrow) or a Hub name; the paper: BAAI/TACO
SPLIT = "test"    # part of the problem set, empty: all; the paper: train
DIFFICULTY = ""   # EASY, MEDIUM, ... as the set names them, empty: all; the paper: MEDIUM
BEGIN_IDX = 0     # first problem, counted within the split and difficulty
END_IDX = 0       # one past the last problem; 0: all
SHARD = 0         # which part of these problems this process does, counted from 0
SHARDS = 1        # into how many parts they are divided

NUM_SAMPLES = 10                   # answers per problem; the paper: 10
MAX_TOKENS = 512                   # longest answer, in tokens; the paper: 8192
BASE_TEMPERATURE = 0.8             # the paper: 0.8
BASE_TOP_P = 0.95                  # the paper: 0.95
INSTRUCT_TEMPERATURE = 0.7         # the paper: 0.7
INSTRUCT_TOP_P = 0.7               # the paper: 0.7
BASE_STOP = ["<end_of_solution>"]  # strings that end a base model's answer; kept in it
SEED = 0                           # of the run; each sample's own is derived from it
LOGPROBS = 0                       # 1: record each token's id and log-probability

PROMPT_FILE = ""      # a Jinja file with prompts of your own (see hindsight/text/prompts.py); empty: ours
SYSTEM_PROMPT = True  # false: no system message, so no format is asked for

CONCURRENCY = 256             # requests in flight, a server
WAIT_FOR_SERVER = 0           # seconds to wait for a server that is still starting
SERVER_DEADLINE = 600         # seconds a server may stay away during the run before it is given up
REQUEST_TIMEOUT = 7200        # seconds one answer may take
DRY_RUN = False               # only look at the servers and show the prompts
ALLOW_OTHER_SETTINGS = False  # go on in a folder that was made with other settings
# fmt: on

# Settings that may change between two calls that write into one folder: they do not change what an answer is.
MAY_DIFFER = ("output_dir", "begin_idx", "end_idx", "shard", "shards", "num_samples", "concurrency", "wait_for_server")
MAY_DIFFER += ("server_deadline", "request_timeout", "dry_run", "base_urls")
# The same for the settings of the model that MODEL does not name.
OF_THE_OTHER_MODEL = {
    "base": ("instruct_model", "instruct_temperature", "instruct_top_p"),
    "instruct": ("base_model", "base_temperature", "base_top_p", "base_stop"),
}


def answer_with_base(
    prompts: Prompts, settings: Settings
) -> Callable[[Sample, ModelServer], Awaitable[dict[str, Any]]]:
    """Asks a base model to go on with a transcript; an answer starts with the thought tag that this ends with."""

    async def answer(sample: Sample, server: ModelServer) -> dict[str, Any]:
        prompt = prompts.transcript(sample.problem)
        request = {
            "model": settings.base_model,
            "temperature": settings.base_temperature,
            "top_p": settings.base_top_p,
            "max_tokens": settings.max_tokens,
            "seed": sample.seed,
            "stop": list(settings.base_stop),
            "include_stop_str_in_output": True,
            **({"logprobs": 0, "return_token_ids": True} if settings.logprobs else {}),
        }
        response, choice = await ask_model(server, prompt, request)
        logprobs = choice.get("logprobs") or {}
        return sample.record(
            prompt=prompt,
            generated_text=prompts.opening(sample.problem) + choice["text"],
            generation_config=request,
            finish_reason=choice["finish_reason"],
            usage=usage(response),
            **parents(settings),
            **(token_logprobs(choice, logprobs.get("token_logprobs")) if settings.logprobs else {}),
        )

    return answer


def answer_with_instruct(
    prompts: Prompts, settings: Settings
) -> Callable[[Sample, ModelServer], Awaitable[dict[str, Any]]]:
    """Asks an instruct model by chat messages."""

    async def answer(sample: Sample, server: ModelServer) -> dict[str, Any]:
        messages = prompts.chat(sample.problem)
        request = {
            "model": settings.instruct_model,
            "temperature": settings.instruct_temperature,
            "top_p": settings.instruct_top_p,
            "max_tokens": settings.max_tokens,
            "seed": sample.seed,
            **({"logprobs": True, "return_token_ids": True} if settings.logprobs else {}),
        }
        response, choice = await ask_model(server, messages, request)
        content = (choice.get("logprobs") or {}).get("content") or []
        return sample.record(
            prompt=messages,
            generated_text=whole_text(choice["message"]),
            generation_config=request,
            finish_reason=choice["finish_reason"],
            usage=usage(response),
            **parents(settings),
            **(token_logprobs(choice, [each["logprob"] for each in content]) if settings.logprobs else {}),
        )

    return answer


def parents(settings: Settings) -> dict[str, Any]:
    """What a record holds of how its model was merged, where that was told. Raises UserError for other than that."""
    told = settings.merged_from
    if not told:
        return {}
    try:
        base, finetuned, alpha = told
        return {"merged_from": {"base": base, "finetuned": finetuned, "alpha": float(alpha)}}
    except ValueError:
        raise UserError(f"MERGED_FROM is a base, a fine-tuned model and an alpha, not {' '.join(told)}") from None


def token_logprobs(choice: dict[str, Any], logprobs: list[float] | None) -> dict[str, Any]:
    """What a record holds of each token; vLLM's log-probabilities are the model's, before temperature and top_p."""
    return {"token_ids": choice.get("token_ids"), "logprobs": logprobs}


def whole_text(message: dict[str, Any]) -> str:
    """A message's text; where the server's reasoning parser took the thought out of it, that comes first again."""
    thought = message.get("reasoning") or message.get("reasoning_content")
    text = message.get("content") or ""
    return f"<think>\n{thought}\n</think>\n\n{text}" if thought else text


def make_method(settings: Settings, prompts: Prompts) -> Method:
    """The model that is asked, and how."""
    name = settings[f"{settings.model}_model"]
    servers = [
        ModelServer(url, name, settings.server_deadline, settings.request_timeout)
        for url in settings.base_urls or ("",)
    ]
    base = settings.model == "base"
    asked = PromptedModel(settings.model, servers, prompts.transcript if base else prompts.chat)
    answer = (answer_with_base if base else answer_with_instruct)(prompts, settings)
    return Method([asked], [(server,) for server in servers], answer, settings.max_tokens)


def main(settings: Settings) -> int:
    require(settings.model in OF_THE_OTHER_MODEL, f"MODEL is base or instruct, not {settings.model!r}")
    parents(settings)
    prompts = Prompts(settings.prompt_file, settings.system_prompt)
    folder = Path(settings.output_dir.format(model=settings.model))
    may_differ = MAY_DIFFER + OF_THE_OTHER_MODEL[settings.model]
    make = partial(make_method, settings, prompts)
    return loop.run(Path(__file__).name, folder, make, settings, may_differ, say=print)


if __name__ == "__main__":
    run_script(main, globals())
