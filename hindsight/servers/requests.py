"""The requests that steps send to a model: an answer to a prompt, and tokens to text and back.

`/tokenize` and `/detokenize` are vLLM's own endpoints. Each function raises what `ModelServer.ask` raises.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from hindsight.errors import UserError, require
from hindsight.servers.client import REQUEST_ERRORS, ModelServer
from hindsight.servers.replies import BadReply, Completion, described, read_completion, read_tokens

MOST_STOP_WORDS = 4  # that a server accepts in a request
NEXT_WORD = "A"  # stands for the first word of an answer
# The keys of a request's body that change the rendered prompt.
TEMPLATE_KEYS = ("chat_template", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "tools")
# The keys that a step sends itself, by its settings, or relies on: one whole answer per request.
OWN_KEYS = ("model", "messages", "prompt", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed")
OWN_KEYS += ("stop", "include_stop_str_in_output", "logprobs", "return_token_ids", "add_special_tokens")
OWN_KEYS += ("n", "best_of", "stream", "echo")
NO_SYSTEM = re.compile(
    r"(system|developer)['\"` ]*(role|message|prompt|instruction)|role[^.]*system|roles must alternate"
    r"|user\W+(and|or)?\W*(assistant|model)\b",
    re.IGNORECASE,
)
NO_PREFIX = re.compile(
    r"continue_final_message|add_generation_prompt|prefill|prefix|assistant|(last|final) (message|role|turn)",
    re.IGNORECASE,
)
Messages = list[dict[str, str]]
Prompt = Messages | str


def require_distribution(temperature: float, top_p: float) -> None:
    """Raises UserError for a temperature or a top_p that no server accepts; some would sample with another one."""
    require(0 <= temperature < float("inf"), f"a temperature is a finite number of at least 0, not {temperature}")
    require(0 <= top_p <= 1, f"top_p lies in [0, 1], not {top_p}")


def read_extra_body(text: str) -> dict[str, Any]:
    """The keys of EXTRA_BODY. Raises UserError if it is not a JSON object, or has a key that the step sends itself."""
    try:
        extra = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise UserError(f"EXTRA_BODY is not JSON ({error}): {text}") from None
    example = '{"chat_template_kwargs": {"enable_thinking": true}}'
    require(isinstance(extra, dict), f"EXTRA_BODY is a JSON object, as {example}, not {text}")
    own = [key for key in extra if key in OWN_KEYS]
    require(not own, f"EXTRA_BODY may not set {', '.join(own)}: the script sends that itself, by its settings")
    return extra


def without_template_keys(extra: dict[str, Any]) -> dict[str, Any]:
    """The part of EXTRA_BODY that is sent with a text or token ids, which pass no chat template."""
    return {key: value for key, value in extra.items() if key not in TEMPLATE_KEYS}


def template_keys(extra: dict[str, Any]) -> dict[str, Any]:
    """The part of EXTRA_BODY that changes a rendered chat. As in vLLM, `reasoning_effort` sets template variables."""
    found = {key: value for key, value in extra.items() if key in TEMPLATE_KEYS}
    effort, own = extra.get("reasoning_effort"), found.get("chat_template_kwargs") or {}
    if effort is not None and isinstance(own, dict):
        found["chat_template_kwargs"] = {"reasoning_effort": effort, "enable_thinking": effort != "none", **own}
    return found


async def ask_model(
    server: ModelServer, prompt: Prompt | list[int], body: dict[str, Any]
) -> tuple[Completion, dict[str, Any]]:
    """The answer to chat messages, to a text or to token ids, and the body as it was sent, without the prompt.

    Parameters of `body` that the server does not accept are sent under another name or left out; the returned body
    lists the latter under `not_sent`. Raises BadReply for a reply that is not an answer, or lacks the log-probabilities
    that the body asks for.
    """
    path, key = ("/chat/completions", "messages") if is_chat(prompt) else ("/completions", "prompt")
    reply, sent = await server.ask_as_it_wants(path, {key: prompt, **body})
    del sent[key]
    answer = read_completion(reply, server.url)
    if "logprobs" in body:
        answer.require_logprobs(server.url)
    server.answered_as.update(answer.other_name(server.model).values())
    return answer, sent


def logprob_keys(prompt: Prompt) -> dict[str, Any]:
    """The keys that ask for each token's log-probability, and for its id, which only vLLM sends."""
    return {"logprobs": True if is_chat(prompt) else 0, "return_token_ids": True}


def is_chat(prompt: Prompt | list[int]) -> TypeGuard[Messages]:
    """Whether a prompt is chat messages."""
    return isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], dict)


async def tokenize(
    server: ModelServer, prompt: Prompt, special: bool = True, more: dict[str, Any] | None = None
) -> list[int]:
    """Token ids of a rendered chat, or of a text; `special`: with the tokenizer's special tokens around the text.

    `more`: a request's further keys; those of the chat template are used.
    """
    if is_chat(prompt):
        body: dict[str, Any] = {"messages": prompt, "add_generation_prompt": True, **template_keys(more or {})}
    else:
        body = {"prompt": prompt, "add_special_tokens": special}
    reply = await server.ask("tokenize", {"model": server.model, **body})
    return read_tokens(reply, server.url)


async def tokenize_open(server: ModelServer, text: str, special: bool = True) -> list[int]:
    """Token ids of a text that a model will continue, split as they would be before another word.

    Many tokenizers turn two line ends into one token at the end of a text but into two tokens before a word, and models
    have rarely seen the former before an answer. (The prompt boundary problem; see "token healing" in guidance.)
    """
    followed, word = await tokenize(server, text + NEXT_WORD, special), await tokenize(server, NEXT_WORD, special=False)
    return followed[:-1] if followed[-1:] == word else await tokenize(server, text, special)


async def detokenize(server: ModelServer, ids: list[int]) -> str:
    """The text of token ids."""
    return _prompt_in(await server.ask("detokenize", {"model": server.model, "tokens": ids}), server)


async def render(server: ModelServer, prompt: Prompt, more: dict[str, Any]) -> str:
    """The prompt as the model receives it, with chat template and special tokens.

    `more`: a request's further keys; those of the chat template are used. vLLM shows the prompt through its tokens,
    llama.cpp has an endpoint for it; raises what vLLM's endpoint raised if the server has neither.
    """
    try:
        return await detokenize(server, await tokenize(server, prompt, more=more))
    except REQUEST_ERRORS as error:
        if not is_chat(prompt):
            raise
        try:
            return _prompt_in(await server.ask("apply-template", {"messages": prompt, **more}), server)
        except REQUEST_ERRORS:
            raise error from None


@dataclass(frozen=True)
class RefusedPart:
    """A part of a chat that a server does not accept, and the flag of step 1a that leaves it out."""

    name: str
    flag: str


def refused_part(refusal: str, prompt: Prompt) -> RefusedPart | None:
    """The part of a chat that made a server refuse it, if its refusal tells: a system message, which Gemma's template
    does not accept, or the beginning of an answer, which the OpenAI API does not continue."""
    if not is_chat(prompt):
        return None
    if prompt[-1]["role"] == "assistant" and NO_PREFIX.search(refusal):
        return RefusedPart("beginning of an answer", "--prompt_style evalplus_openai")
    if "system" in str(prompt[0]) and NO_SYSTEM.search(refusal):
        return RefusedPart("system message", "--system_prompt false")
    return None


def _prompt_in(reply: dict[str, Any], server: ModelServer) -> str:
    if not isinstance(reply.get("prompt"), str):
        raise BadReply(server.url, f"{described(reply)} where a prompt was expected")
    return reply["prompt"]
