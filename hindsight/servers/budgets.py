"""What an LLM's calls may cost: an estimate before, limits a minute and a budget meanwhile, the bill after."""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass

from hindsight.errors import UserError, require

BYTES_PER_TOKEN = 3  # of prose and code, rather too few: an estimate is rather too high
MINUTE = 60.0


def estimate_tokens(text: str) -> int:
    """Tokens that a text may have."""
    return len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN + 1


@dataclass(frozen=True)
class Prices:
    """Dollars for a million tokens of prompts and of completions."""

    prompt: float
    completion: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(frozen=True)
class Budget:
    """The most that calls may cost, in dollars or in tokens of both kinds."""

    amount: float
    unit: str

    def allows(self, dollars: float, tokens: int) -> bool:
        return (dollars if self.unit == "dollars" else tokens) <= self.amount

    def __str__(self) -> str:
        return f"${self.amount:g}" if self.unit == "dollars" else f"{self.amount:,.0f} tokens"


def read_budget(text: str) -> Budget | None:
    """A budget as a user writes it: "$5", "5 USD", "200000 tokens"; empty: None. Raises UserError for anything else."""
    if not text.strip():
        return None
    match = re.fullmatch(r"\$?([\d_,]*\.?\d+) *(USD|dollars?|tokens?)?", text.strip(), re.IGNORECASE)
    unit = (match[2] or ("dollars" if text.strip().startswith("$") else "")).lower() if match else ""
    require(bool(unit), f'BUDGET is "5 USD", "$5" or "200000 tokens", not {text!r}')
    return Budget(float(re.sub("[_,]", "", match[1])), "tokens" if unit.startswith("token") else "dollars")


class OverBudget(UserError):
    """A call that might cost more than is left of the budget."""


class Pace:
    """Keeps requests and tokens within so many a minute, in any minute; 0: no limit.

    A request counts from when it may go, its tokens as estimated until they are known. One that is larger than the
    limit by itself goes alone.
    """

    def __init__(self, requests: int = 0, tokens: int = 0):
        self.requests, self.tokens = requests, tokens
        self._window: deque[list[float]] = deque()  # [when it went, its tokens]
        self._turn = asyncio.Lock()

    async def wait(self, tokens: int = 0) -> list[float]:
        """Returns when a request of so many tokens may go; what it returns is for `settle`."""
        async with self._turn:
            while (pause := self._pause(tokens)) > 0:
                await asyncio.sleep(pause)
            entry = [time.monotonic(), float(tokens)]
            self._window.append(entry)
            return entry

    @staticmethod
    def settle(entry: list[float], tokens: int) -> None:
        """The tokens of a request as they were counted."""
        entry[1] = tokens

    def _pause(self, tokens: int) -> float:
        """Seconds until the oldest request is out of the window, if there is no room in it."""
        now = time.monotonic()
        while self._window and self._window[0][0] <= now - MINUTE:
            self._window.popleft()
        full = bool(self.requests) and len(self._window) >= self.requests
        full |= bool(self.tokens) and sum(entry[1] for entry in self._window) + tokens > self.tokens
        return self._window[0][0] + MINUTE - now if full and self._window else 0.0


@dataclass
class Bill:
    """What calls have cost so far, and what those under way may cost; with a budget, no call that might pass it."""

    prices: Prices
    budget: Budget | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _set_aside: tuple[int, int] = (0, 0)

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> tuple[int, int]:
        """Sets the most that a call may cost aside, for `settle`. Raises OverBudget when there is not so much left."""
        prompt, completion = self._set_aside[0] + prompt_tokens, self._set_aside[1] + completion_tokens
        in_all = (self.prompt_tokens + prompt, self.completion_tokens + completion)
        if self.budget and not self.budget.allows(self.prices.cost(*in_all), sum(in_all)):
            raise OverBudget(f"the budget of {self.budget} might not be enough for it")
        self._set_aside = (prompt, completion)
        return prompt_tokens, completion_tokens

    def settle(self, call: tuple[int, int], counted: dict[str, int] | None) -> None:
        """The tokens of a call as the server counted them; {}: it did not count; None: it did not answer."""
        self._set_aside = (self._set_aside[0] - call[0], self._set_aside[1] - call[1])
        if counted is not None:
            self.add(counted or {"prompt_tokens": call[0], "completion_tokens": call[1]})

    def add(self, counted: dict[str, int]) -> None:
        """Adds the tokens of an answered request."""
        self.requests += 1
        self.prompt_tokens += counted["prompt_tokens"]
        self.completion_tokens += counted["completion_tokens"]

    @property
    def dollars(self) -> float:
        return self.prices.cost(self.prompt_tokens, self.completion_tokens)

    def counts(self) -> dict[str, float]:
        """The bill, for run.json."""
        tokens = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return {"requests": self.requests, **tokens, "dollars": round(self.dollars, 6)}

    def __str__(self) -> str:
        tokens = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        return f"{self.requests:,} requests, {tokens}, ${self.dollars:.4f}"
