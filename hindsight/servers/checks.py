"""Checks before a run: do the servers answer, do prompts and answers fit the context, are seeds honoured?"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from hindsight.errors import UserError
from hindsight.problem_sets.problems import Problem
from hindsight.servers.client import REQUEST_ERRORS, ModelServer, first_line
from hindsight.servers.requests import Prompt, ask_model, detokenize, tokenize

PROMPTS_FOR_MEAN = 20  # prompts whose tokens are counted for the mean length
TEMPLATE_TOKENS = 256  # assumed to be the most that a chat template adds to a prompt
SEED_TOKENS = 48  # length of the answers that show whether a server honours seeds
BYTES_PER_TOKEN = 3  # assumed of prompts if the server does not count tokens


@dataclass(frozen=True)
class PromptedModel:
    """One of a run's models: its role, the servers that all serve it, and its prompt for a problem."""

    role: str
    servers: Sequence[ModelServer]
    prompt: Callable[[Problem], Prompt]

    @property
    def model(self) -> str:
        return self.servers[0].model


@dataclass(frozen=True)
class Checked:
    """What the checks found: a sentence per finding, and the mean length of a prompt in tokens."""

    sentences: list[str]
    prompt_tokens: float


async def check_models(
    models: Sequence[PromptedModel], problems: Sequence[Problem], max_tokens: int, wait: float
) -> Checked:
    """Checks the servers, the length of the prompts beside `max_tokens` new tokens, and the seeds.

    `wait`: seconds that a server may take to start. Raises UserError if a server does not answer by then, does not
    serve its model, or if no prompt fits.
    """
    sentences, context = await check_servers(models, wait)
    means = []
    for model in models:
        sentence, mean = await measure_prompts(model, problems, max_tokens, context)
        sentences += [sentence, await try_seeds(model, problems[0])]
        means.append(mean)
    return Checked(sentences, sum(means) / len(means))


async def check_servers(models: Sequence[PromptedModel], wait: float) -> tuple[list[str], int | None]:
    """A sentence per server, and the smallest context, in tokens, of the servers that report theirs.

    Raises UserError if a server does not answer after `wait` seconds, or does not serve its model.
    """
    sentences, contexts = [], []
    for server in {(server.url, server.model): server for each in models for server in each.servers}.values():
        context = (await server.model_card(wait)).get("max_model_len")
        contexts += [context] if context else []
        size = f"context of {context:,} tokens" if context else "it does not report its context length"
        sentences.append(f"{server.url} serves {server.model}, {size}")
    return sentences, min(contexts, default=None)


async def measure_prompts(
    model: PromptedModel, problems: Sequence[Problem], max_tokens: int, context: int | None
) -> tuple[str, float]:
    """A sentence on the length of the prompts and how many do not fit, and their mean length in tokens.

    A token has at least one byte, so only prompts of many bytes need counting. Raises UserError if no prompt fits.
    """
    server, sizes = model.servers[0], [size_of(model.prompt(problem)) for problem in problems]
    room = (context or 0) - max_tokens
    longest_first = sorted(range(len(problems)), key=lambda number: -sizes[number])
    may_not_fit = [number for number in longest_first if context and sizes[number] + TEMPLATE_TOKENS > room]
    try:
        step = max(1, len(problems) // PROMPTS_FOR_MEAN)
        some, counts = [
            [len(await tokenize(server, model.prompt(problems[number]))) for number in numbers]
            for numbers in (range(0, len(problems), step), may_not_fit)
        ]
    except REQUEST_ERRORS as error:
        mean = sum(sizes) / len(sizes) / BYTES_PER_TOKEN
        return f"{model.role}: prompts are not measured ({first_line(str(error))})", mean
    mean, longest = sum(some) / len(some), max(some + counts)
    sentence = f"{model.role}: prompts have {mean:.0f} tokens on average"
    if not context:
        return sentence, mean
    too_long = sum(count > room for count in counts)
    if too_long == len(problems):
        limit = f"{max_tokens} new tokens in a context of {context}"
        raise UserError(f"no prompt fits: the prompts have up to {longest} tokens, beside {limit}")
    fits = f"{too_long} of {len(problems)} do not fit and will fail" if too_long else "all fit"
    return f"{sentence}; with {max_tokens} new tokens in a context of {context}, {fits}", mean


async def try_seeds(model: PromptedModel, problem: Problem) -> str:
    """A sentence on whether the first server gives the same text for the same seed, and a different text otherwise."""
    server, prompt = model.servers[0], model.prompt(problem)
    texts = []
    try:
        for seed in (1, 1, 2):
            request = {"model": server.model, "max_tokens": SEED_TOKENS, "temperature": 1.5, "seed": seed}
            texts.append(str((await ask_model(server, prompt, request))[1]))
    except REQUEST_ERRORS as error:
        return f"{model.role}: seeds could not be tried ({first_line(str(error))})"
    if texts[0] != texts[1]:
        return f"{model.role}: the server ignores seeds: one seed gave two texts, so samples cannot be reproduced"
    if texts[0] == texts[2]:
        return f"{model.role}: the server ignores seeds: two seeds gave one text, so all samples may be the same"
    return f"{model.role}: the same seed gives the same text"


async def example_prompts(models: Sequence[PromptedModel], problems: Sequence[Problem]) -> AsyncIterator[str]:
    """A heading and a whole prompt for each model and kind of problem (standard input, function)."""
    kinds: dict[bool, Problem] = {}
    for problem in problems:
        kinds.setdefault(problem["fn_name"] is None, problem)
        if len(kinds) == 2:
            break
    for model in models:
        for is_stdin, problem in kinds.items():
            kind = "standard input" if is_stdin else "function"
            yield f"\n----- {model.role} ({model.model}), {kind}, question {problem['question_id']}\n"
            yield await whole_prompt(model, problem)


async def whole_prompt(model: PromptedModel, problem: Problem) -> str:
    """The prompt as the model receives it, with chat template and special tokens if the server can render it."""
    prompt = model.prompt(problem)
    try:
        return await detokenize(model.servers[0], await tokenize(model.servers[0], prompt))
    except REQUEST_ERRORS:
        messages = prompt if isinstance(prompt, list) else []
        return "\n\n".join(f"[{each['role']}] {each['content']}" for each in messages) or str(prompt)


def size_of(prompt: Prompt) -> int:
    """Bytes of a prompt without its template."""
    texts = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
