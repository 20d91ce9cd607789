"""Speaking to servers of the OpenAI protocol: connecting, checking the model, many requests at once, failures."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import openai
from tqdm import tqdm

from hindsight.settings import UserError

RETRIES = 6  # by the client library, with its back-off: connection errors, 408, 409, 429 and 5xx
Job = TypeVar("Job")


class ServerGone(Exception):
    """The server does not answer any more, after the client library's retries."""


class ItemFailed(Exception):
    """One item that cannot be done; the message is the reason, the same for items that fail alike."""


class Failures:
    """Items that failed, each with its reason; counted and named at the end of a script."""

    def __init__(self):
        self.items: list[tuple[str, str]] = []

    def add(self, item: str, reason: str) -> None:
        self.items.append((item, reason))

    def __len__(self) -> int:
        return len(self.items)

    def report(self, named: int = 5) -> str:
        """A line per reason with its count and the first few items."""
        lines = []
        for reason, count in Counter(reason for _, reason in self.items).most_common():
            items = [item for item, other in self.items if other == reason]
            more = f" and {count - named} more" if count > named else ""
            lines.append(f"{count} failed: {reason}: {', '.join(items[:named])}{more}")
        return "\n".join(lines)


def connect(base_url: str) -> openai.AsyncOpenAI:
    """A client for a server; an empty address stands for OPENAI_BASE_URL's, or else the OpenAI API.

    The key is OPENAI_API_KEY's, or a word that servers without keys accept.
    """
    key = os.environ.get("OPENAI_API_KEY") or "none"
    return openai.AsyncOpenAI(base_url=base_url or None, api_key=key, max_retries=RETRIES, timeout=None)


async def require_model(client: openai.AsyncOpenAI, model: str, wait: float = 0.0) -> None:
    """Raises UserError when the server is not there (after `wait` seconds of trying) or does not have the model."""
    until = time.monotonic() + wait
    while True:
        try:
            served = [entry.id async for entry in client.with_options(max_retries=0, timeout=20).models.list()]
            break
        except (openai.APIConnectionError, openai.InternalServerError) as error:
            if time.monotonic() >= until:
                raise UserError(f"no server answers at {client.base_url} ({error})") from None
            await asyncio.sleep(1)
        except openai.APIStatusError as error:
            raise UserError(f"the server at {client.base_url} refuses: {error.message}") from None
    if model not in served:
        raise UserError(f"the server at {client.base_url} has no model {model!r}; it has {', '.join(served)}")


async def run_all(
    jobs: Iterable[Job], work: Callable[[Job], Awaitable[None]], name: Callable[[Job], str], limit: int, bar: tqdm
) -> Failures:
    """Runs `work` on every job, at most `limit` at a time, each taken from `jobs` when a place is free.

    A job that raises ItemFailed, or gets an answer the server will not change (4xx), is a failure and the others go
    on. Raises ServerGone when a server stops answering: the jobs under way are given up, what is written stays.
    """
    failures, source = Failures(), iter(jobs)

    async def worker() -> None:
        for job in source:
            try:
                await work(job)
            except ItemFailed as error:
                failures.add(name(job), str(error))
            except openai.APIConnectionError as error:
                raise ServerGone(f"{error} ({error.request.url})") from None
            except openai.APIStatusError as error:
                failures.add(name(job), f"status {error.status_code}: {_first_line(error.message)}")
            bar.update()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(worker())
    except ExceptionGroup as group:  # the first one ended the others: ServerGone, or a disk that is full
        raise group.exceptions[0] from None
    return failures


def first_choice(response: Any) -> Any:
    """The only choice of a response. Raises ItemFailed when the server sent none."""
    if not response.choices:
        raise ItemFailed("the server sent an empty list of choices")
    return response.choices[0]


def usage(response: Any) -> dict[str, int]:
    """Prompt and completion tokens as the server counted them."""
    if response.usage is None:
        return {}
    return {
        "prompt_tokens": response.usage.prompt_tokens,
        "completion_tokens": response.usage.completion_tokens or 0,
    }


def _first_line(text: str) -> str:
    return (text.strip() or "no reason given").splitlines()[0][:300]
