"""Checks before a run: whether the servers answer, prompts and answers fit the context, and seeds are honoured."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hindsight.errors import UserError
from hindsight.problem_sets.problems import Problem
from hindsight.servers.client import REQUEST_ERRORS, SHORT, ModelServer
from hindsight.servers.refusals import first_line
from hindsight.servers.replies import NoLogprobs, whole_number
from hindsight.servers.requests import Prompt, ask_model, is_chat, logprob_keys, refused_part, render, tokenize
from hindsight.text.uniform_format import ends_in_thought

PROMPTS_FOR_MEAN = 20  # prompts whose tokens are counted for the mean length
TEMPLATE_TOKENS = 256  # assumed to be the most that a chat template adds to a prompt
FIRST = 100  # problems among which one of each kind is taken, to see what the chat template does
SEED_TOKENS = SHORT["max_tokens"]  # length of the answers that show whether a server honours seeds
BYTES_PER_TOKEN = 3  # assumed of prompts if the server does not count tokens
CONTEXTS = ("max_model_len", "context_length")  # where servers report the context of a model, in tokens


@dataclass
class PromptedModel:
    """One of a run's models: its role, the servers that all serve it, its prompt, EXTRA_BODY and LOGPROBS.

    `opens_thought` is found by the checks: whether an answer begins inside a thought, because the chat template
    opens one and the server does not send thoughts apart; None: unknown.
    """

    role: str
    servers: Sequence[ModelServer]
    prompt: Callable[[Problem], Prompt]
    extra_body: dict[str, Any] = field(default_factory=dict)
    logprobs: int = 0
    opens_thought: bool | None = None

    @property
    def model(self) -> str:
        return self.servers[0].model

    async def render(self, problem: Problem) -> str:
        """The prompt as the model receives it. Raises what `requests.render` raises."""
        return await render(self.servers[0], self.prompt(problem), self.extra_body)


@dataclass(frozen=True)
class Checked:
    """What the checks found: a sentence per finding, and the mean length of a prompt in tokens."""

    sentences: list[str]
    prompt_tokens: float


async def check_models(
    models: Sequence[PromptedModel], problems: Sequence[Problem], max_tokens: int, wait: float
) -> Checked:
    """Checks the servers, whether prompts fit beside `max_tokens` new tokens, the seeds, and open thoughts.

    `wait`: seconds that a server may take to start. Raises UserError if a server does not answer by then, does not
    serve its model, refuses a part of the chat, or if no prompt fits.
    """
    sentences, context = await check_servers(models, wait)
    means = []
    for model in models:
        sentence, mean = await measure_prompts(model, problems, max_tokens, context)
        unknown = await find_open_thoughts(model, problems)
        sentences += [sentence, await try_seeds(model, problems[0])]
        if model.opens_thought:
            sentences.append(f"{model.role}: the chat template opens a thought, and answers begin inside it")
        elif model.opens_thought is None and unknown:
            sentences.append(f"{model.role}: {unknown}: treated as if it did not")
        means.append(mean)
    every = {(server.url, server.model): server for each in models for server in each.servers}.values()
    sentences += dict.fromkeys(sentence for server in every for sentence in server.sentences())
    return Checked(sentences, sum(means) / len(means))


async def check_servers(models: Sequence[PromptedModel], wait: float) -> tuple[list[str], int | None]:
    """A sentence per server, and the smallest context, in tokens, of the servers that report theirs.

    Raises UserError if a server does not answer after `wait` seconds, or does not serve its model.
    """
    sentences, contexts = [], []
    for server in {(server.url, server.model): server for each in models for server in each.servers}.values():
        card = await server.model_card(wait)
        context = next((size for key in CONTEXTS if (size := whole_number(card.get(key)))), None)
        contexts += [context] if context else []
        size = f"context of {context:,} tokens" if context else "it does not report its context length"
        unlisted = "" if server.lists_model else ", which it does not list"
        dial = await server.pin_alpha() if card.get("owned_by") == "vllm" else None
        merge = f", merged of {dial.base} and {dial.finetuned} at alpha {dial.header}" if dial else ""
        sentences.append(f"{server.url} serves {server.model}{unlisted}{merge}, {size}")
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

    async def count(numbers: Iterable[int]) -> list[int]:
        prompts = (model.prompt(problems[number]) for number in numbers)
        return [len(await tokenize(server, prompt, more=model.extra_body)) for prompt in prompts]

    try:
        some, counts = await count(range(0, len(problems), max(1, len(problems) // PROMPTS_FOR_MEAN))), []
        counts = await count(may_not_fit)
    except REQUEST_ERRORS as error:
        require_whole_chat(model, problems[0], error)
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
    """A sentence on whether the first server gives the same text for the same seed, and a different text otherwise.

    Notes whether the server sends thoughts apart from the text. Raises UserError if it sends no log-probabilities but
    the run is to record them.
    """
    server, prompt, answers = model.servers[0], model.prompt(problem), []
    # nearly 1, so without effect, but not the default: a server that does not accept top_p refuses it here
    logprobs = logprob_keys(prompt) if model.logprobs else {}
    common = {"model": server.model, **SHORT, "top_p": 0.999, **logprobs, **model.extra_body}
    try:
        for seed in (1, 1, 2):
            answer, sent = await ask_model(server, prompt, {**common, "seed": seed})
            answers.append((answer.text, answer.thought))
    except NoLogprobs as error:
        raise UserError(f"{error}: give --logprobs 0") from None
    except REQUEST_ERRORS as error:
        require_whole_chat(model, problem, error)
        return f"{model.role}: seeds could not be tried ({first_line(str(error))})"
    if any(thought for _, thought in answers):
        model.opens_thought = False
    if "seed" not in sent:
        return f"{model.role}: the server takes no seeds, so samples cannot be reproduced"
    if answers[0] != answers[1]:
        return f"{model.role}: the server ignores seeds: one seed gave two texts, so samples cannot be reproduced"
    if answers[0] == answers[2]:
        return f"{model.role}: the server ignores seeds: two seeds gave one text, so all samples may be the same"
    return f"{model.role}: the same seed gives the same text"


async def find_open_thoughts(model: PromptedModel, problems: Sequence[Problem]) -> str:
    """Notes whether a chat's rendered prompt ends inside a thought; says why if that is unknown.

    This depends on the chat template, not on the question: one prompt of each kind is rendered. A text prompt is not.
    """
    if not is_chat(model.prompt(problems[0])):
        return ""
    try:
        asked = [(problem, await model.render(problem)) for problem in kinds_of(problems[:FIRST]).values()]
    except REQUEST_ERRORS as error:
        return f"whether the chat template opens a thought is unknown ({first_line(str(error))})"
    opens = {ends_in_thought(rendered, last_message(model.prompt(problem))) for problem, rendered in asked}
    if len(opens) > 1:
        return "the chat template opens a thought for some problems only"
    model.opens_thought = opens == {True}
    return ""


def require_whole_chat(model: PromptedModel, problem: Problem, refusal: Exception) -> None:
    """Raises UserError if the server refused the prompt because of its system message, or of the answer's beginning."""
    if part := refused_part(str(refusal), model.prompt(problem)):
        raise UserError(f"{model.model} takes no {part.name} ({first_line(str(refusal))}): give {part.flag}")


def kinds_of(problems: Sequence[Problem]) -> dict[bool, Problem]:
    """The first problem of each kind: True, it reads standard input; False, it asks for a function."""
    kinds: dict[bool, Problem] = {}
    for problem in problems:
        kinds.setdefault(problem["fn_name"] is None, problem)
        if len(kinds) == 2:
            break
    return kinds


async def example_prompts(models: Sequence[PromptedModel], problems: Sequence[Problem]) -> AsyncIterator[str]:
    """A heading and a whole prompt, as the model receives it, for each model and kind of problem."""
    for model in models:
        for is_stdin, problem in kinds_of(problems).items():
            kind = "standard input" if is_stdin else "function"
            yield f"\n----- {model.role} ({model.model}), {kind}, question {problem['question_id']}\n"
            try:
                yield await model.render(problem)
            except REQUEST_ERRORS:
                prompt = model.prompt(problem)
                messages = prompt if isinstance(prompt, list) else []
                yield "\n\n".join(f"[{each['role']}] {each['content']}" for each in messages) or str(prompt)


def last_message(prompt: Prompt) -> str:
    """The text of a chat's last message; a text prompt as it is."""
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


def size_of(prompt: Prompt) -> int:
    """Bytes of a prompt without its template."""
    texts = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
