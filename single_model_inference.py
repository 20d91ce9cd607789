"""Step 1a: one model answers problems, NUM_SAMPLES times each.

Reads problems and asks an OpenAI-compatible server (vLLM); writes question_*_sample_*.json, one a sample, and run.json.
Samples that have a file are not asked for again, so a run that was killed goes on where it was.

    python single_model_inference.py --model instruct --output_dir runs/lab/instruct
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai

from hindsight import sampling
from hindsight.client import connect, first_choice, usage
from hindsight.formats import BEGIN_THOUGHT
from hindsight.prompts import base_prompt, chat_messages
from hindsight.sampling import Sample
from hindsight.settings import Settings, require, run_script

MODEL = "instruct"                 # which model answers: base (a text prompt) or instruct (chat messages)
BASE_MODEL = "lab-base"            # its name on the server; the paper: meta-llama/Llama-3.1-8B
INSTRUCT_MODEL = "lab-instruct"    # its name on the server; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
BASE_URL = "http://localhost:8000/v1"  # its server; empty: OPENAI_BASE_URL, else the OpenAI API
OUTPUT_DIR = "runs/lab/{model}"    # the run's folder; {model} stands for MODEL

PROBLEMS = "lab"                   # lab, a file (.jsonl, .parquet, .arrow) or a Hub name; the paper: BAAI/TACO
SPLIT = "test"                     # part of the problem set, empty: all; the paper: train
DIFFICULTY = ""                    # EASY, MEDIUM, ... as the set names them, empty: all; the paper: MEDIUM
BEGIN_IDX = 0                      # first problem, counted within the split and difficulty
END_IDX = 0                        # one past the last problem; 0: all

NUM_SAMPLES = 10                   # answers per problem; the paper: 10
MAX_TOKENS = 512                   # longest answer, in tokens; the paper: 8192
BASE_TEMPERATURE = 0.8             # the paper: 0.8
BASE_TOP_P = 0.95                  # the paper: 0.95
INSTRUCT_TEMPERATURE = 0.7         # the paper: 0.7
INSTRUCT_TOP_P = 0.7               # the paper: 0.7
BASE_STOP = ["<end_of_solution>"]  # strings that end a base model's answer; kept in it
SEED = 0                           # of the run; each sample's own is derived from it

CONCURRENCY = 128                  # requests in flight
WAIT_FOR_SERVER = 0                # seconds to wait for a server that is still starting
ALLOW_OTHER_SETTINGS = False       # go on in a folder that was made with other settings

SAME = ("problems", "split", "difficulty", "max_tokens", "seed", "model")
SAME_BY_MODEL = {
    "base": ("base_model", "base_temperature", "base_top_p", "base_stop"),
    "instruct": ("instruct_model", "instruct_temperature", "instruct_top_p"),
}


def answer_with_base(client: openai.AsyncOpenAI, settings: Settings) -> Callable[[Sample], Awaitable[dict[str, Any]]]:
    """Asks a base model to go on with a transcript whose thought is open; the answer starts with the thought tag."""

    async def answer(sample: Sample) -> dict[str, Any]:
        prompt = base_prompt(sample.problem)
        request = {
            "model": settings.base_model,
            "temperature": settings.base_temperature,
            "top_p": settings.base_top_p,
            "max_tokens": settings.max_tokens,
            "seed": sample.seed,
            "stop": list(settings.base_stop),
        }
        beyond_openai = {"include_stop_str_in_output": True}
        response = await client.completions.create(prompt=prompt, **request, extra_body=beyond_openai)
        choice = first_choice(response)
        return sample.record(
            prompt=prompt,
            generated_text=f"{BEGIN_THOUGHT}\n\n{choice.text}",
            generation_config={**request, **beyond_openai},
            finish_reason=choice.finish_reason,
            usage=usage(response),
        )

    return answer


def answer_with_instruct(
    client: openai.AsyncOpenAI, settings: Settings
) -> Callable[[Sample], Awaitable[dict[str, Any]]]:
    """Asks an instruct model by chat messages."""

    async def answer(sample: Sample) -> dict[str, Any]:
        messages = chat_messages(sample.problem)
        request = {
            "model": settings.instruct_model,
            "temperature": settings.instruct_temperature,
            "top_p": settings.instruct_top_p,
            "max_tokens": settings.max_tokens,
            "seed": sample.seed,
        }
        response = await client.chat.completions.create(messages=messages, **request)
        choice = first_choice(response)
        return sample.record(
            prompt=messages,
            generated_text=whole_text(choice.message),
            generation_config=request,
            finish_reason=choice.finish_reason,
            usage=usage(response),
        )

    return answer


def whole_text(message: Any) -> str:
    """A message's text; where the server's reasoning parser took the thought out of it, that comes first again."""
    thought = getattr(message, "reasoning", None) or getattr(message, "reasoning_content", None)
    text = message.content or ""
    return f"<think>\n{thought}\n</think>\n\n{text}" if thought else text


def main(settings: Settings) -> int:
    require(settings.model in SAME_BY_MODEL, f"MODEL is base or instruct, not {settings.model!r}")
    problems = sampling.selected_problems(settings)
    folder = Path(settings.output_dir.format(model=settings.model))
    client = connect(settings.base_url)
    if settings.model == "base":
        name, answer = settings.base_model, answer_with_base(client, settings)
    else:
        name, answer = settings.instruct_model, answer_with_instruct(client, settings)
    print(f"{folder}: {len(problems)} problems, {settings.num_samples} samples each, by {name}")
    same = SAME + SAME_BY_MODEL[settings.model]
    outcome = sampling.sample_run(Path(__file__).name, folder, problems, answer, {name: client}, settings, same)
    print(f"{outcome.written} samples written, {outcome.missing} missing\n{outcome.report}".rstrip())
    return 1 if outcome.missing else 0


if __name__ == "__main__":
    run_script(main, globals())
