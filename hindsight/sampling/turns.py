"""Two models writing one answer in turns, each continuing what both have written.

If the models share a vocabulary, the servers get and return the answer as token ids (vLLM's `return_token_ids`). Then
no text is tokenized twice, and a server's prefix cache holds everything except the other model's last turn. Otherwise
the servers get the answer as text.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hindsight.errors import UserError
from hindsight.sampling.vocabulary import SharedVocabulary
from hindsight.servers.client import ATTEMPTS, ModelServer
from hindsight.servers.replies import BadReply, Completion, ItemFailed, TryAgain
from hindsight.servers.requests import MOST_STOP_WORDS, ask_model, detokenize

REPLACEMENT = "\ufffd"  # stands for the bytes of an incomplete character


@dataclass(frozen=True)
class TurnLength:
    """Tokens of a turn: always `low` (equal to `high`), uniform from `low` to `high`, or geometric with mean `low`."""

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
    """Reads "50", "20-80" (uniform) or "geometric 50" (its mean). Raises UserError for anything else."""
    match = re.fullmatch(r"(geometric )?\s*(\d+)|(\d+)\s*-\s*(\d+)", str(text).strip())
    low, high = (int(match[2] or match[3]), int(match[4] or match[2])) if match else (0, 0)
    if not match or not 1 <= low <= high:
        raise UserError(f'a turn has "50" tokens, "20-80" or "geometric 50", at least 1, not {text!r}')
    return TurnLength(low, high, bool(match[1]))


@dataclass(frozen=True)
class TurnModel:
    """One of the two models: its role, server, turn length and sampling settings, and further keys of its requests."""

    role: str
    server: ModelServer
    turn_length: TurnLength
    temperature: float
    top_p: float
    extra_body: dict[str, Any]


@dataclass(frozen=True)
class AnswerLimits:
    """What ends an answer: tokens of both models together, or a stop string, which stays in the answer.

    Only the first stop strings are sent to a server; the others end the answer after a turn. logprobs: whether to
    record each token's log-probability.
    """

    total_tokens: int
    stop: tuple[str, ...]
    logprobs: bool = False

    @property
    def sent_stop(self) -> tuple[str, ...]:
        """As many of the stop strings as a server accepts."""
        return self.stop[:MOST_STOP_WORDS]

    def end_of_stop(self, text: str, start: int) -> int | None:
        """Where the first stop string that reaches into the turn at `start` ends; None if there is none."""
        earliest = max(start - max(map(len, self.stop), default=0) + 1, 0)
        found = [(text.find(string, earliest), string) for string in self.stop]
        return min((position + len(string) for position, string in found if position >= 0), default=None)


@dataclass
class TurnsAnswer:
    """An answer as it grows: its text, token ids, log-probabilities, and the segment that each turn wrote.

    `prompts` holds by role the input of the next turn: token ids if the models share a vocabulary, else text.
    `prompt_usage` is the count of the first turn's prompt, if the server sent it.
    """

    prompts: dict[str, Any]
    text: str = ""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    tokens: int = 0
    prompt_usage: dict[str, int] = field(default_factory=dict)
    segments: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = "length"


async def write_in_turns(
    answer: TurnsAnswer,
    models: Sequence[TurnModel],
    vocabulary: SharedVocabulary | None,
    limits: AnswerLimits,
    seed_of_turn: Callable[[int], int],
) -> None:
    """Continues an answer until it ends; the models take turns, the first one first.

    The answer ends when a model ends it (finish reason `stop`) or at `total_tokens` (`length`). A stop string that
    spans two turns also ends it, and the text after the string is dropped. Raises what `ModelServer.ask` raises; the
    turns written until then stay in the answer, and another call resumes after them.
    """
    while answer.finish_reason != "stop" and answer.tokens < limits.total_tokens:
        turn = len(answer.segments)
        model, seed = models[turn % len(models)], seed_of_turn(turn)
        length = model.turn_length.draw(random.Random(seed))
        most = min(length, limits.total_tokens - answer.tokens)
        request = _request(model, most, seed, limits, by_tokens=vocabulary is not None)
        completion = await _ask_for_turn(model.server, answer.prompts[model.role], request)
        text, ids = _add_turn(answer, model, request, completion, limits, by_tokens=vocabulary is not None)
        for each in models:
            theirs = vocabulary.translate(ids, each.role) if vocabulary and each is not model else ids
            answer.prompts[each.role] = answer.prompts[each.role] + (theirs if vocabulary else text)
    if vocabulary and REPLACEMENT in answer.text:
        await _mend_characters(answer, models[0], vocabulary, limits)


def _request(model: TurnModel, most: int, seed: int, limits: AnswerLimits, by_tokens: bool) -> dict[str, Any]:
    """The request for a turn of at most so many tokens, except its prompt."""
    return {
        "model": model.server.model,
        "max_tokens": most,
        "temperature": model.temperature,
        "top_p": model.top_p,
        "seed": seed,
        "stop": list(limits.sent_stop),
        "include_stop_str_in_output": True,
        "add_special_tokens": False,
        **({"return_token_ids": True} if by_tokens else {}),
        **({"logprobs": 0} if limits.logprobs else {}),
        **model.extra_body,
    }


async def _ask_for_turn(server: ModelServer, prompt: Any, request: dict[str, Any]) -> Completion:
    """The text of one turn. Repeats the request after a broken reply, so that no earlier turn is lost."""
    for tried in range(ATTEMPTS):
        try:
            completion, _ = await ask_model(server, prompt, request)
            _require_counts(completion, request, server.url)
            return completion
        except TryAgain:
            if tried + 1 == ATTEMPTS:
                raise
    raise AssertionError


def _require_counts(completion: Completion, request: dict[str, Any], server: str) -> None:
    """Raises BadReply for a turn of more tokens than requested, or whose lists are not as long as the server counts."""
    tokens, most = _count(completion), request["max_tokens"]
    if tokens > most:
        raise BadReply(server, f"a turn of {tokens} tokens where at most {most} were requested")
    if completion.token_ids is not None and len(completion.token_ids) != tokens:
        raise BadReply(server, f"{len(completion.token_ids)} token ids of a turn of {tokens} tokens")
    if "logprobs" in request and completion.logprobs is not None and len(completion.logprobs) != tokens:
        raise BadReply(server, f"{len(completion.logprobs)} log-probabilities of a turn of {tokens} tokens")


def _count(completion: Completion) -> int:
    """The tokens of a turn as the server counted them, else the number of its token ids."""
    return completion.usage.get("completion_tokens") or len(completion.token_ids or ())


def _add_turn(
    answer: TurnsAnswer,
    model: TurnModel,
    request: dict[str, Any],
    completion: Completion,
    limits: AnswerLimits,
    by_tokens: bool,
) -> tuple[str, list[int]]:
    """Adds a turn to the answer, and ends the answer if the turn does; returns the turn's text and token ids."""
    start, text, ids, tokens = len(answer.text), completion.text, completion.token_ids or [], _count(completion)
    if by_tokens and completion.token_ids is None:
        raise ItemFailed(f"{model.server.url} sends no token ids: the turns need vLLM's return_token_ids")
    if not by_tokens and completion.finish_reason == "length":
        text = text.rstrip(REPLACEMENT)  # an incomplete character, which the other model cannot continue
    answer.text += text
    answer.ids += ids
    answer.logprobs += completion.logprobs or [None] * len(ids)
    answer.tokens += tokens
    if not answer.segments:
        answer.prompt_usage = {name: count for name, count in completion.usage.items() if name == "prompt_tokens"}
    if (end := limits.end_of_stop(answer.text, start)) is not None:
        answer.text, answer.finish_reason = answer.text[:end], "stop"
    if completion.finish_reason == "stop":
        answer.finish_reason = "stop"
    if not tokens and answer.finish_reason != "stop":
        raise ItemFailed(f"{model.server.url} {'counts no tokens of a turn' if text else 'wrote an empty turn'}")
    segment = {"model": model.role, "start": start, "end": len(answer.text), "tokens": tokens}
    segment |= {"seed": request["seed"], "max_tokens": request["max_tokens"]}
    segment |= completion.other_name(request["model"])
    answer.segments.append({**segment, "end_token": len(answer.ids)} if by_tokens else segment)
    return text, ids


async def _mend_characters(
    answer: TurnsAnswer, reader: TurnModel, vocabulary: SharedVocabulary, limits: AnswerLimits
) -> None:
    """Reads the text again from all ids, as `reader` knows them, to restore characters whose bytes lie in two turns.

    Such a character belongs to the turn that completed it. The last turn ends at its stop string, else as the server
    sent it, because its ids may end with a token that has no text.
    """
    last = answer.text[answer.segments[-1]["start"] :].lstrip(REPLACEMENT)
    start, text, first_token, ids = 0, "", 0, []
    for segment in answer.segments:
        own, first_token = answer.ids[first_token : segment["end_token"]], segment["end_token"]
        ids += own if segment["model"] == reader.role else vocabulary.translate(own, reader.role)
        text = await detokenize(reader.server, ids)
        segment["start"], segment["end"] = start, max(len(text.rstrip(REPLACEMENT)), start)
        start = segment["end"]
    if (end := limits.end_of_stop(text, answer.segments[-1]["start"])) is not None:
        answer.finish_reason = "stop"
    answer.text = text[: text.rfind(last) + len(last) if end is None else end]
    answer.segments[-1]["end"] = len(answer.text)
