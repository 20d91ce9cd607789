"""The cost of calls to a model: estimates, rate limits, a budget and the bill."""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass

from hindsight.errors import UserError

BYTES_PER_TOKEN = 3  # a low figure for prose and code, so estimates are high
MINUTE = 60.0  # seconds


def estimate_tokens(text: str) -> int:
    """The approximate number of tokens in a text."""
    return len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN + 1


@dataclass(frozen=True)
class Prices:
    """Dollars per million tokens of prompts and of completions."""

    prompt: float
    completion: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of the tokens, in dollars."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(frozen=True)
class Budget:
    """The most that calls may cost; `unit` is "dollars" or "tokens", those of prompts and completions together."""

    amount: float
    unit: str

    def allows(self, dollars: float, tokens: int) -> bool:
        """Whether a bill of this size is within the budget."""
        return (dollars if self.unit == "dollars" else tokens) <= self.amount

    def __str__(self) -> str:
        return f"${self.amount:g}" if self.unit == "dollars" else f"{self.amount:,.0f} tokens"


def read_budget(text: str) -> Budget | None:
    """Reads "$5", "5 USD" or "200000 tokens"; None for an empty text. Raises UserError for anything else."""
    if not text.strip():
        return None
    match = re.fullmatch(r"\$?([\d_,]*\.?\d+) *(USD|dollars?|tokens?)?", text.strip(), re.IGNORECASE)
    unit = (match[2] or ("dollars" if text.strip().startswith("$") else "")).lower() if match else ""
    if not match or not unit:
        raise UserError(f'BUDGET is "5 USD", "$5" or "200000 tokens", not {text!r}')
    return Budget(float(re.sub("[_,]", "", match[1])), "tokens" if unit.startswith("token") else "dollars")


class OverBudget(UserError):
    """A call might cost more than the rest of the budget."""


class RateLimiter:
    """Keeps the requests and tokens of any minute within limits; 0: no limit.

    A request counts from its start, with its estimated tokens until `settle` corrects them. A request that exceeds the
    token limit on its own waits until there has been no other request for a minute.
    """

    def __init__(self, requests: int = 0, tokens: int = 0):
        self.requests, self.tokens = requests, tokens
        self._window: deque[list[float]] = deque()  # [time in seconds, tokens] of each request of the last minute
        self._waiting = asyncio.Lock()

    async def wait(self, tokens: int = 0) -> list[float]:
        """Waits until a request with this number of tokens may start; the returned entry is for `settle`."""
        async with self._waiting:
            while (pause := self._pause(tokens)) > 0:
                await asyncio.sleep(pause)
            entry = [time.monotonic(), float(tokens)]
            self._window.append(entry)
            return entry

    @staticmethod
    def settle(entry: list[float], tokens: int) -> None:
        """Replaces a request's estimated tokens with the counted ones."""
        entry[1] = tokens

    def _pause(self, tokens: int) -> float:
        """Seconds until the oldest request leaves the window, 0 if the window has room."""
        now = time.monotonic()
        while self._window and self._window[0][0] <= now - MINUTE:
            self._window.popleft()
        full = bool(self.requests) and len(self._window) >= self.requests
        full |= bool(self.tokens) and sum(entry[1] for entry in self._window) + tokens > self.tokens
        return self._window[0][0] + MINUTE - now if full and self._window else 0.0


@dataclass
class Bill:
    """The cost of finished and unfinished calls; refuses calls that might exceed the budget."""

    prices: Prices
    budget: Budget | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _reserved: tuple[int, int] = (0, 0)

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> tuple[int, int]:
        """Reserves the most tokens that a call may need, until `settle`. Raises OverBudget if that is too many."""
        prompt, completion = self._reserved[0] + prompt_tokens, self._reserved[1] + completion_tokens
        total = (self.prompt_tokens + prompt, self.completion_tokens + completion)
        if self.budget and not self.budget.allows(self.prices.cost(*total), sum(total)):
            raise OverBudget(f"the budget of {self.budget} might not be enough for it")
        self._reserved = (prompt, completion)
        return prompt_tokens, completion_tokens

    def settle(self, call: tuple[int, int], counted: dict[str, int] | None) -> None:
        """Replaces a reservation with the tokens that the server counted, if it counts; None: it did not answer."""
        self._reserved = (self._reserved[0] - call[0], self._reserved[1] - call[1])
        if counted is not None:
            self.add({"prompt_tokens": call[0], "completion_tokens": call[1], **counted})

    def add(self, counted: dict[str, int]) -> None:
        """Adds the tokens of an answered request."""
        self.requests += 1
        self.prompt_tokens += counted.get("prompt_tokens", 0)
        self.completion_tokens += counted.get("completion_tokens", 0)

    @property
    def dollars(self) -> float:
        """The cost of the finished calls."""
        return self.prices.cost(self.prompt_tokens, self.completion_tokens)

    def counts(self) -> dict[str, float]:
        """The bill, for run.json."""
        tokens = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return {"requests": self.requests, **tokens, "dollars": round(self.dollars, 6)}

    def __str__(self) -> str:
        tokens = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        return f"{self.requests:,} requests, {tokens}, ${self.dollars:.4f}"
