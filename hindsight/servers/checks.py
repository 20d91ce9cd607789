"""What is asked of the servers before a run: are they there, do prompts and answers fit, do they keep to seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hindsight.errors import UserError
from hindsight.problem_sets.problems import Problem
from hindsight.servers.client import REQUEST_ERRORS, ModelServer, first_line
from hindsight.servers.requests import Prompt, ask_model, count_tokens, detokenize, tokenize

TRIED = 20  # prompts whose tokens are counted for the mean
TEMPLATE_TOKENS = 256  # the most that a chat template is thought to add to a prompt
SEED_TOKENS = 48  # of an answer that shows whether a server keeps to seeds


@dataclass(frozen=True)
class PromptedModel:
    """One of the models of a run: its servers, all of which serve it, and what it is asked: messages, or a text."""

    role: str
    servers: Sequence[ModelServer]
    prompt: Callable[[Problem], Prompt]

    @property
    def model(self) -> str:
        return self.servers[0].model


async def check_servers(asked: Sequence[PromptedModel], wait: float) -> tuple[list[str], int | None]:
    """A sentence for each server, and the smallest context, in tokens, of those that say theirs.

    Raises UserError when a server is not there after `wait` seconds, or does not have its model.
    """
    sentences, contexts = [], []
    for server in {(server.url, server.model): server for each in asked for server in each.servers}.values():
        context = (await server.model_card(wait)).get("max_model_len")
        contexts += [context] if context else []
        size = f"context of {context:,} tokens" if context else "it does not say how long its context is"
        sentences.append(f"{server.url} serves {server.model}, {size}")
    return sentences, min(contexts, default=None)


async def measure_prompts(
    asked: PromptedModel, problems: Sequence[Problem], max_tokens: int, context: int | None
) -> tuple[str, float]:
    """A sentence on how long the prompts are and how many do not fit, and their mean, in tokens.

    A token has a byte at least, so that only prompts of many bytes need be counted. Raises UserError when none fits.
    """
    server, sizes = asked.servers[0], [size_of(asked.prompt(problem)) for problem in problems]
    step = max(1, len(problems) // TRIED)
    try:
        some = [await count_tokens(server, asked.prompt(problems[number])) for number in range(0, len(problems), step)]
        room = (context or 0) - max_tokens
        long = sorted(range(len(problems)), key=lambda number: -sizes[number])
        long = [number for number in long if context and sizes[number] + TEMPLATE_TOKENS > room]
        counts = [await count_tokens(server, asked.prompt(problems[number])) for number in long]
    except REQUEST_ERRORS as error:
        mean = sum(sizes) / len(sizes) / 3
        return f"{asked.role}: prompts are not measured ({first_line(str(error))})", mean
    mean, longest = sum(some) / len(some), max(some + counts)
    sentence = f"{asked.role}: prompts of {mean:.0f} tokens on average"
    if not context:
        return sentence, mean
    too_long = sum(count > room for count in counts)
    if too_long == len(problems):
        limit = f"{max_tokens} new ones in a context of {context}"
        raise UserError(f"no prompt fits: they have up to {longest} tokens, beside {limit}")
    fits = f"{too_long} of {len(problems)} problems do not and will fail" if too_long else "all do"
    return f"{sentence}; beside {max_tokens} new ones they have to fit {context}: {fits}", mean


async def try_seeds(asked: PromptedModel, problem: Problem) -> str:
    """A sentence on whether the first server gives the same text for the same seed, and another for another."""
    server, prompt = asked.servers[0], asked.prompt(problem)
    texts = []
    try:
        for seed in (1, 1, 2):
            limits = {"model": server.model, "max_tokens": SEED_TOKENS, "temperature": 1.5, "seed": seed}
            texts.append(str((await ask_model(server, prompt, limits))[1]))
    except REQUEST_ERRORS as error:
        return f"{asked.role}: seeds could not be tried ({first_line(str(error))})"
    if texts[0] != texts[1]:
        return f"{asked.role}: the server ignores seeds: the same one gave two texts, so samples cannot be made again"
    if texts[0] == texts[2]:
        return f"{asked.role}: the server ignores seeds: two gave the same text, so samples may all be the same"
    return f"{asked.role}: the same seed gives the same text"


async def show_prompt(asked: PromptedModel, problem: Problem) -> str:
    """The whole prompt as the model gets it, chat template and special tokens included, where the server can say."""
    prompt = asked.prompt(problem)
    try:
        return await detokenize(asked.servers[0], await tokenize(asked.servers[0], prompt))
    except REQUEST_ERRORS:
        messages = prompt if isinstance(prompt, list) else []
        return "\n\n".join(f"[{each['role']}] {each['content']}" for each in messages) or str(prompt)


def size_of(prompt: Prompt) -> int:
    """Bytes of a prompt without its template."""
    texts = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
