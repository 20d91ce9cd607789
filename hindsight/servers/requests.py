"""The requests that steps make of a model: an answer to a prompt, and tokens to text and back.

`/tokenize` and `/detokenize` are vLLM's own endpoints. Each function raises what `ModelServer.ask` raises.
"""

from typing import Any

from hindsight.servers.client import ModelServer, TryAgain

FINISH_REASONS = ("stop", "length")
NEXT_WORD = "A"  # stands for the first word of an answer
Prompt = list[dict[str, str]] | str


async def ask_model(server: ModelServer, prompt: Prompt, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole reply to chat messages or to a text prompt, and its only choice. Raises TryAgain if it has none."""
    if isinstance(prompt, str):
        reply = await server.ask("/completions", {"prompt": prompt, **body})
    else:
        reply = await server.ask("/chat/completions", {"messages": prompt, **body})
    return reply, first_choice(reply)


async def tokenize(server: ModelServer, prompt: Prompt, special: bool = True) -> list[int]:
    """Token ids of a rendered chat, or of a text; `special`: with the tokenizer's special tokens around the text."""
    if isinstance(prompt, str):
        body: dict[str, Any] = {"prompt": prompt, "add_special_tokens": special}
    else:
        body = {"messages": prompt, "add_generation_prompt": True}
    return (await server.ask("tokenize", {"model": server.model, **body}))["tokens"]


async def tokenize_open(server: ModelServer, text: str, special: bool = True) -> list[int]:
    """Token ids of a text that a model will continue, split as they would be before another word.

    Many tokenizers turn two line ends into one token at the end of a text but into two tokens before a word, and models
    have rarely seen the former before an answer. (The prompt boundary problem; see "token healing" in guidance.)
    """
    followed, word = await tokenize(server, text + NEXT_WORD, special), await tokenize(server, NEXT_WORD, special=False)
    return followed[:-1] if followed[-1:] == word else await tokenize(server, text, special)


async def detokenize(server: ModelServer, ids: list[int]) -> str:
    """The text of token ids."""
    return (await server.ask("detokenize", {"model": server.model, "tokens": ids}))["prompt"]


def first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The only choice of a reply. Raises TryAgain if there is none, or if it is incomplete."""
    choices = reply.get("choices")
    if not choices or not isinstance(choices[0], dict):
        raise TryAgain("the server sent an empty list of choices")
    if choices[0].get("finish_reason") not in FINISH_REASONS:
        raise TryAgain(f"the server ended the answer with finish reason {choices[0].get('finish_reason')!r}")
    return choices[0]


def usage(reply: dict[str, Any]) -> dict[str, int]:
    """Prompt and completion tokens as the server counted them; empty if it did not."""
    counted = reply.get("usage") or {}
    return {key: counted.get(key) or 0 for key in ("prompt_tokens", "completion_tokens")} if counted else {}
