"""Two models writing one answer in turns, each continuing what both have written.

Where both models' tokenizers agree, the answer is a sequence of token ids that goes to the servers as it is and comes
back as it is (vLLM's `return_token_ids`), so nothing is ever tokenized anew and a server's prefix cache knows all but
the other's last turn; else it goes as text. Ids that one model knows as another text (DeepSeek-R1's distilled Llama has
`<think>` where Llama has a reserved token) are given to the other one as the ids of their text.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hindsight.errors import UserError
from hindsight.servers.client import ATTEMPTS, ItemFailed, ModelServer, TryAgain
from hindsight.servers.requests import detokenize, first_choice, tokenize

PROBE = "def f(x):\n\treturn 'ünï 数 \U0001f600'  # 12345\n\n```\n<begin_of_solution>  </think>"
IDS_AT_ONCE = 4096  # whose texts are compared by one request
MOST_FOREIGN = 256  # ids with different texts in two vocabularies that are still one
REPLACEMENT = "\ufffd"  # what stands for bytes that are no character yet


@dataclass(frozen=True)
class TurnLength:
    """Tokens of a turn: always `low` (as high), uniform from `low` to `high`, or geometric with the mean `low`."""

    low: int
    high: int
    geometric: bool = False

    def draw(self, chance: random.Random) -> int:
        """The length of one turn, at least 1."""
        if not self.geometric:
            return chance.randint(self.low, self.high)
        length = 1
        while chance.random() >= 1 / self.low:
            length += 1
        return length


def parse_turn_length(text: str) -> TurnLength:
    """ "50", "20-80" (uniform) or "geometric 50" (its mean). Raises UserError."""
    match = re.fullmatch(r"(geometric )?\s*(\d+)|(\d+)\s*-\s*(\d+)", str(text).strip())
    low, high = (int(match[2] or match[3]), int(match[4] or match[2])) if match else (0, 0)
    if not 1 <= low <= high:
        raise UserError(f'a turn has "50" tokens, "20-80" or "geometric 50", at least 1, not {text!r}')
    return TurnLength(low, high, bool(match[1]))


@dataclass(frozen=True)
class TurnModel:
    """One of the two models in one answer: its server, its sampling settings, the length of its turns."""

    role: str
    server: ModelServer
    turn_length: TurnLength
    temperature: float
    top_p: float


@dataclass(frozen=True)
class Joint:
    """How one model's turn is given to the other. `foreign`: by role, what the ids that mean something else to it
    become for it; by_tokens: False where the two tokenizers are not one."""

    by_tokens: bool
    foreign: dict[str, dict[int, list[int]]] = field(default_factory=dict)

    def for_role(self, role: str, ids: list[int]) -> list[int]:
        """Token ids that the other model wrote, as this one knows them."""
        known = self.foreign.get(role)
        return [new for each in ids for new in known.get(each, (each,))] if known else ids


@dataclass
class TurnsAnswer:
    """An answer as it grows: its text, its token ids and their log-probabilities, and who wrote which part.

    `prompts` holds by role what a writer goes on with: token ids when turns go by tokens, else text.
    """

    prompts: dict[str, Any]
    text: str = ""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    tokens: int = 0
    prompt_tokens: int = 0
    segments: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = "length"


async def find_joint(first: tuple[str, ModelServer], second: tuple[str, ModelServer], texts: Sequence[str]) -> Joint:
    """How two models, each a role and a server, are joined: whether their tokenizers map the texts to the same ids,
    and each id to the same text. Raises what `ModelServer.ask` does.
    """
    for text in (PROBE, *texts):
        if await tokenize(first[1], text, special=False) != await tokenize(second[1], text, special=False):
            return Joint(by_tokens=False)
    foreign: dict[str, dict[int, list[int]]] = {first[0]: {}, second[0]: {}}
    ids = range(IDS_AT_ONCE)
    while any(await _texts(ids, first[1], second[1])):
        for each in await _differing(ids, first[1], second[1]):
            texts_of_id = await _texts([each], first[1], second[1])
            for (role, server), text in zip((first, second), reversed(texts_of_id), strict=True):
                foreign[role][each] = await tokenize(server, text, special=False)
            if len(foreign[first[0]]) > MOST_FOREIGN:
                return Joint(by_tokens=False)
        ids = range(ids.stop, ids.stop + IDS_AT_ONCE)
    return Joint(by_tokens=True, foreign=foreign)


async def _texts(ids: Sequence[int], *servers: ModelServer) -> list[str]:
    """The text of ids by each server; empty beyond the vocabulary's end."""
    try:
        return [await detokenize(server, list(ids)) for server in servers]
    except (ItemFailed, TryAgain):
        return ["" for _ in servers]


async def _differing(ids: range, *servers: ModelServer) -> list[int]:
    """The ids whose texts are not the same, found by halving."""
    first, second = await _texts(ids, *servers)
    if first == second:
        return []
    if len(ids) == 1:
        return [ids[0]]
    middle = len(ids) // 2
    return await _differing(ids[:middle], *servers) + await _differing(ids[middle:], *servers)


async def write_in_turns(
    answer: TurnsAnswer,
    writers: Sequence[TurnModel],
    joint: Joint,
    total_tokens: int,
    stop: list[str],
    seed_of_turn: Callable[[int], int],
    logprobs: bool = False,
) -> None:
    """Goes on with an answer until it ends: the writers write in turns, the first one first.

    A model ends the answer (finish reason `stop`) or it ends at `total_tokens` (`length`). A stop string that comes
    together over the joint of two turns ends it too, and what follows the string is dropped from the text. Raises what
    `ModelServer.ask` does; the turns that are written by then stay in the answer, for another call to go on with.
    """
    while answer.finish_reason != "stop" and answer.tokens < total_tokens:
        number = len(answer.segments) % len(writers)
        writer, seed = writers[number], seed_of_turn(len(answer.segments))
        length = writer.turn_length.draw(random.Random(seed))
        request = {
            "model": writer.server.model,
            "max_tokens": min(length, total_tokens - answer.tokens),
            "temperature": writer.temperature,
            "top_p": writer.top_p,
            "seed": seed,
            "stop": stop,
            "include_stop_str_in_output": True,
            "add_special_tokens": False,
            **({"return_token_ids": True} if joint.by_tokens else {}),
            **({"logprobs": 0} if logprobs else {}),
        }
        response = await _ask_turn(writer.server, {"prompt": answer.prompts[writer.role], **request})
        written = _add_turn(answer, writer, request, response, joint, stop)
        for each in writers:
            theirs = each is not writer and joint.by_tokens
            answer.prompts[each.role] = answer.prompts[each.role] + (
                joint.for_role(each.role, written) if theirs else written
            )
    if joint.by_tokens and REPLACEMENT in answer.text:
        await _mend_joints(answer, writers[0].server)


async def _ask_turn(server: ModelServer, request: dict[str, Any]) -> dict[str, Any]:
    """One turn; a broken one is asked for again, by the same seed, so that those before it are not lost."""
    for tried in range(ATTEMPTS):
        try:
            response = await server.ask("/completions", request)
            first_choice(response)
            return response
        except TryAgain:
            if tried + 1 == ATTEMPTS:
                raise
    raise AssertionError


def _add_turn(
    answer: TurnsAnswer,
    writer: TurnModel,
    request: dict[str, Any],
    response: dict[str, Any],
    joint: Joint,
    stop: list[str],
) -> list[int] | str:
    """Adds a turn to the answer; what the writer wrote: token ids when turns go by tokens, else text."""
    choice = first_choice(response)
    start, text = len(answer.text), choice["text"]
    ids = choice.get("token_ids")
    if joint.by_tokens and not isinstance(ids, list):
        raise ItemFailed(f"{writer.server.url} sends no token ids: the turns need vLLM's return_token_ids")
    if not joint.by_tokens and choice["finish_reason"] == "length":
        text = text.rstrip(REPLACEMENT)  # the first bytes of a character, which the other model cannot go on with
    usage = response.get("usage") or {}
    tokens = usage.get("completion_tokens") or len(ids or ())
    answer.text += text
    answer.ids += ids or []
    answer.logprobs += (choice.get("logprobs") or {}).get("token_logprobs") or []
    answer.tokens += tokens
    answer.prompt_tokens = answer.prompt_tokens or usage.get("prompt_tokens") or 0
    longest = max(map(len, stop), default=0)
    found = [(answer.text.find(string, max(start - longest + 1, 0)), string) for string in stop]
    if ends := [position + len(string) for position, string in found if position >= 0]:
        answer.text = answer.text[: min(ends)]
        answer.finish_reason = "stop"
    if choice["finish_reason"] != "length":
        answer.finish_reason = choice["finish_reason"]
    if not tokens and answer.finish_reason != "stop":
        raise ItemFailed(f"{writer.server.url} wrote an empty turn")
    segment = {"model": writer.role, "start": start, "end": len(answer.text), "tokens": tokens}
    segment |= {"seed": request["seed"], "max_tokens": request["max_tokens"]}
    answer.segments.append({**segment, "end_token": len(answer.ids)} if joint.by_tokens else segment)
    return ids if joint.by_tokens else text


async def _mend_joints(answer: TurnsAnswer, server: ModelServer) -> None:
    """Reads the text again from the ids, for a character whose bytes lie on both sides of a joint.

    Such a character belongs to the turn that completed it. The end of the last turn is kept as the server sent it, as
    its ids may end with a token that is no text.
    """
    last = answer.text[answer.segments[-1]["start"] :].lstrip(REPLACEMENT)
    start = 0
    for segment in answer.segments:
        text = await detokenize(server, answer.ids[: segment["end_token"]])
        segment["start"], segment["end"] = start, max(len(text.rstrip(REPLACEMENT)), start)
        start = segment["end"]
    answer.text = text[: text.rfind(last) + len(last)]
    answer.segments[-1]["end"] = len(answer.text)
