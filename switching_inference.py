"""Step 1b: a base and an instruct model take turns in one answer.

The instruct model writes P tokens, the base model K tokens, and so on until a model ends the answer or it has
TOTAL_NEW_TOKENS. Reads problems and asks two OpenAI-compatible servers (vLLM), which may be one; writes the files
that single_model_inference.py writes, with who wrote what in `segments`.

    python switching_inference.py --output_dir runs/lab/switching
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hindsight import sampling
from hindsight.client import connect
from hindsight.formats import BEGIN_THOUGHT
from hindsight.prompts import base_prompt, chat_messages
from hindsight.sampling import Sample, sample_seed
from hindsight.settings import Settings, require, run_script
from hindsight.turns import Writer, tokenizers_agree, write_in_turns

BASE_MODEL = "lab-base"            # its name on its server; the paper: meta-llama/Llama-3.1-8B
INSTRUCT_MODEL = "lab-instruct"    # its name on its server; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
BASE_MODEL_URL = "http://localhost:8000/v1"  # the base model's server
INSTRUCT_MODEL_URL = "http://localhost:8001/v1"  # the instruct model's server; may be the same
OUTPUT_DIR = "runs/lab/switching"  # the run's folder

PROBLEMS = "lab"                   # lab, a file (.jsonl, .parquet, .arrow) or a Hub name; the paper: BAAI/TACO
SPLIT = "test"                     # part of the problem set, empty: all; the paper: train
DIFFICULTY = ""                    # EASY, MEDIUM, ... as the set names them, empty: all; the paper: MEDIUM
BEGIN_IDX = 0                      # first problem, counted within the split and difficulty
END_IDX = 0                        # one past the last problem; 0: all

NUM_SAMPLES = 10                   # answers per problem; the paper: 10
K = 10                             # tokens of a base model's turn; the paper: 50
P = 40                             # tokens of an instruct model's turn; the paper: 300
TOTAL_NEW_TOKENS = 512             # longest answer of both together, in tokens; the paper: 8192
BASE_TEMPERATURE = 0.8             # the paper: 0.8
BASE_TOP_P = 0.95                  # the paper: 0.95
INSTRUCT_TEMPERATURE = 0.7         # the paper: 0.7
INSTRUCT_TOP_P = 0.7               # the paper: 0.7
STOP = ["<end_of_solution>"]       # strings that end an answer; kept in it
SEED = 0                           # of the run; each sample's and turn's own is derived from it

CONCURRENCY = 128                  # answers in flight
WAIT_FOR_SERVER = 0                # seconds to wait for a server that is still starting
ALLOW_OTHER_SETTINGS = False       # go on in a folder that was made with other settings

SAME = ("problems", "split", "difficulty", "base_model", "instruct_model", "k", "p", "total_new_tokens", "seed", "stop")
SAME += ("base_temperature", "base_top_p", "instruct_temperature", "instruct_top_p")
OPENING = f"{BEGIN_THOUGHT}\n\n"


def answer_by_switching(
    instruct: Writer, base: Writer, settings: Settings
) -> Callable[[Sample], Awaitable[dict[str, Any]]]:
    """Both models are prompted with an open thought, so every answer starts with the thought tag."""
    agree: bool | None = None

    async def answer(sample: Sample) -> dict[str, Any]:
        nonlocal agree
        if agree is None:
            agree = await tokenizers_agree(instruct, base)
        messages, transcript = chat_messages(sample.problem), base_prompt(sample.problem)
        prompts = [
            await instruct.tokenize_chat(messages) + await instruct.tokenize(OPENING),
            await base.tokenize(transcript, special=True),
        ]
        if not agree:
            prompts = [await instruct.detokenize(prompts[0]), await base.detokenize(prompts[1])]
        result = await write_in_turns(
            [instruct, base],
            prompts,
            settings.total_new_tokens,
            list(settings.stop),
            seed_of_turn=lambda turn: sample_seed(sample.seed, sample.problem["question_id"], turn),
        )
        return sample.record(
            prompt={"instruct": messages, "base": transcript},
            generated_text=OPENING + result.text,
            segments=[shift(segment, len(OPENING)) for segment in result.segments],
            generation_config=generation_config(sample, settings, joined_by="tokens" if agree else "text"),
            finish_reason=result.finish_reason,
            usage={"prompt_tokens": result.prompt_tokens, "completion_tokens": result.tokens},
        )

    return answer


def shift(segment: dict[str, Any], by: int) -> dict[str, Any]:
    """A segment whose offsets count from the start of `generated_text`, the opening included."""
    return {**segment, "start": segment["start"] + by, "end": segment["end"] + by}


def generation_config(sample: Sample, settings: Settings, joined_by: str) -> dict[str, Any]:
    """What was sent, per model; a turn's own seed is in its segment."""
    return {
        "base": {
            "model": settings.base_model,
            "temperature": settings.base_temperature,
            "top_p": settings.base_top_p,
            "tokens_a_turn": settings.k,
        },
        "instruct": {
            "model": settings.instruct_model,
            "temperature": settings.instruct_temperature,
            "top_p": settings.instruct_top_p,
            "tokens_a_turn": settings.p,
        },
        "total_new_tokens": settings.total_new_tokens,
        "stop": list(settings.stop),
        "include_stop_str_in_output": True,
        "joined_by": joined_by,
        "seed": sample.seed,
    }


def main(settings: Settings) -> int:
    require(settings.k > 0 and settings.p > 0, f"K and P are at least 1, not {settings.k} and {settings.p}")
    problems = sampling.selected_problems(settings)
    folder = Path(settings.output_dir)
    instruct_client, base_client = connect(settings.instruct_model_url), connect(settings.base_model_url)
    instruct = Writer(
        "instruct",
        settings.instruct_model,
        instruct_client,
        settings.p,
        settings.instruct_temperature,
        settings.instruct_top_p,
    )
    base = Writer("base", settings.base_model, base_client, settings.k, settings.base_temperature, settings.base_top_p)
    print(f"{folder}: {len(problems)} problems, {settings.num_samples} samples each")
    print(f"{settings.p} tokens by {instruct.model} and {settings.k} by {base.model} in turn")
    servers = {base.model: base_client, instruct.model: instruct_client}
    answer = answer_by_switching(instruct, base, settings)
    outcome = sampling.sample_run(Path(__file__).name, folder, problems, answer, servers, settings, SAME)
    print(f"{outcome.written} samples written, {outcome.missing} missing\n{outcome.report}".rstrip())
    return 1 if outcome.missing else 0


if __name__ == "__main__":
    run_script(main, globals())
