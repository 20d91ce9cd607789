"""Two models writing one answer in turns, each continuing what both have written.

Where both models' tokenizers agree, the answer is a sequence of token ids that goes to the servers as it is and comes
back as it is (vLLM's `return_token_ids`), so nothing is ever tokenized anew; else it goes as text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openai

from hindsight.client import first_choice

PROBE = "def f(x):\n\treturn 'ünï 数'  # 12345\n\n```\n<begin_of_solution>"


@dataclass(frozen=True)
class Writer:
    """One of the two models: its name on its server, its sampling settings, and its tokens a turn."""

    role: str
    model: str
    client: openai.AsyncOpenAI
    tokens_a_turn: int
    temperature: float
    top_p: float

    async def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Token ids of a text; `special` adds the tokens that the tokenizer puts around a prompt."""
        return (await self._post("/tokenize", prompt=text, add_special_tokens=special))["tokens"]

    async def tokenize_chat(self, messages: list[dict[str, str]]) -> list[int]:
        """Token ids of a chat, rendered by the model's template up to where the answer begins."""
        return (await self._post("/tokenize", messages=messages, add_generation_prompt=True))["tokens"]

    async def detokenize(self, ids: list[int]) -> str:
        """The text of token ids."""
        return (await self._post("/detokenize", tokens=ids))["prompt"]

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        """vLLM's own endpoints lie beside the OpenAI ones, at the server's root."""
        root = str(self.client.base_url).rstrip("/").removesuffix("/v1")
        client = self.client.with_options(base_url=root)
        return await client.post(path, cast_to=dict[str, Any], body={"model": self.model, **body})


@dataclass
class Answer:
    """An answer as it grows: its text, its token ids when turns go by tokens, and who wrote which part."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    tokens: int = 0
    prompt_tokens: int = 0
    segments: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = "length"


async def tokenizers_agree(first: Writer, second: Writer) -> bool:
    """Whether both servers map text to the same token ids and back, tried on text with code, tags and Unicode."""
    one, other = await first.tokenize(PROBE), await second.tokenize(PROBE)
    return one == other and await first.detokenize(one) == await second.detokenize(other)


async def write_in_turns(
    writers: list[Writer],
    prompts: list[list[int]] | list[str],
    total_tokens: int,
    stop: list[str],
    seed_of_turn: Callable[[int], int],
) -> Answer:
    """The answer that the writers make in turns, the first one first.

    `prompts` holds what each writer's answer follows: token ids when turns go by tokens, else text. A model ends the
    answer (finish reason `stop`) or it ends at `total_tokens` (`length`). A stop string that comes together over the
    joint of two turns ends it too, and what follows the string is dropped.
    """
    answer, by_tokens = Answer(), not isinstance(prompts[0], str)
    turn = 0
    while answer.finish_reason != "stop" and answer.tokens < total_tokens:
        writer, prompt = writers[turn % len(writers)], prompts[turn % len(writers)]
        request = {
            "model": writer.model,
            "max_tokens": min(writer.tokens_a_turn, total_tokens - answer.tokens),
            "temperature": writer.temperature,
            "top_p": writer.top_p,
            "seed": seed_of_turn(turn),
            "stop": stop,
        }
        beyond_openai = {"return_token_ids": by_tokens, "add_special_tokens": False, "include_stop_str_in_output": True}
        prompt = prompt + (answer.ids if by_tokens else answer.text)
        response = await writer.client.completions.create(prompt=prompt, **request, extra_body=beyond_openai)
        _add_turn(answer, writer, request["seed"], response, by_tokens, stop)
        turn += 1
    if by_tokens and "\ufffd" in answer.text:
        await _mend_joints(answer, writers[0])
    return answer


def _add_turn(answer: Answer, writer: Writer, seed: int, response: Any, by_tokens: bool, stop: list[str]) -> None:
    choice = first_choice(response)
    start, tokens = len(answer.text), response.usage.completion_tokens
    answer.text += choice.text
    answer.ids += choice.token_ids if by_tokens else []
    answer.tokens += tokens
    answer.prompt_tokens = answer.prompt_tokens or response.usage.prompt_tokens
    longest = max(map(len, stop), default=0)
    for string in stop:
        position = answer.text.find(string, max(start - longest, 0))
        if position >= 0:
            answer.text = answer.text[: position + len(string)]
            answer.finish_reason = "stop"
    if choice.finish_reason != "length":
        answer.finish_reason = choice.finish_reason
    segment = {"model": writer.role, "start": start, "end": len(answer.text), "tokens": tokens, "seed": seed}
    answer.segments.append({**segment, "end_token": len(answer.ids)} if by_tokens else segment)


async def _mend_joints(answer: Answer, writer: Writer) -> None:
    """Reads the text again from the ids, for a character whose bytes lie on both sides of a joint.

    Such a character belongs to the turn that completed it. The end of the last turn is kept as the server sent it, as
    its ids may end with a token that is no text.
    """
    last = answer.text[answer.segments[-1]["start"] :].lstrip("\ufffd")
    start = 0
    for segment in answer.segments:
        text = await writer.detokenize(answer.ids[: segment["end_token"]])
        segment["start"], segment["end"] = start, max(len(text.rstrip("\ufffd")), start)
        start = segment["end"]
    answer.text = text[: text.rfind(last) + len(last)]
    answer.segments[-1]["end"] = len(answer.text)
