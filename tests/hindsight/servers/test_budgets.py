"""Rate limits, budgets and bills, with sums worked out by hand."""

import asyncio

import pytest

from hindsight.errors import UserError
from hindsight.servers import budgets
from hindsight.servers.budgets import Bill, Budget, OverBudget, Prices, RateLimiter, read_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("$5", Budget(5, "dollars")),
        ("2.50 USD", Budget(2.5, "dollars")),
        ("1,000 dollars", Budget(1000, "dollars")),
        ("200_000tokens", Budget(200000, "tokens")),
        (" ", None),
    ],
)
def test_a_budget_has_a_unit(text, budget):
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["5", "five dollars", "$", "5 euros", "-1 USD"])
def test_a_budget_without_a_unit_is_refused(text):
    with pytest.raises(UserError, match="BUDGET is"):
        read_budget(text)


def test_a_bill_is_prices_times_tokens():
    bill = Bill(Prices(0.15, 0.6))
    bill.settle(bill.reserve(2000, 500), {"prompt_tokens": 1_000_000, "completion_tokens": 500_000})
    bill.settle(bill.reserve(2000, 500), None)
    assert bill.counts() == {"requests": 1, "prompt_tokens": 1000000, "completion_tokens": 500000, "dollars": 0.45}


def test_a_server_that_does_not_count_is_billed_by_the_estimate():
    bill = Bill(Prices(1, 1))
    bill.settle(bill.reserve(30, 20), {})
    assert (bill.prompt_tokens, bill.completion_tokens) == (30, 20)


def test_unfinished_calls_count_against_the_budget():
    bill = Bill(Prices(0, 0), Budget(100, "tokens"))
    first = bill.reserve(40, 20)
    with pytest.raises(OverBudget):
        bill.reserve(40, 20)
    bill.settle(first, {"prompt_tokens": 30, "completion_tokens": 10})
    bill.settle(bill.reserve(40, 20), {"prompt_tokens": 30, "completion_tokens": 10})
    with pytest.raises(OverBudget):
        bill.reserve(15, 10)


def times(limiter, monkeypatch, *sizes):
    """The minutes at which requests of these sizes start if all arrive at once; only sleeping moves the clock."""
    clock = [0.0]

    async def sleep(seconds):
        clock[0] += seconds

    async def run():
        started = []

        async def one(size):
            await limiter.wait(size)
            started.append(clock[0] / budgets.MINUTE)

        await asyncio.gather(*map(one, sizes))
        return started

    monkeypatch.setattr(budgets.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(budgets.asyncio, "sleep", sleep)
    return asyncio.new_event_loop().run_until_complete(run())


def test_no_minute_has_more_requests_than_allowed(monkeypatch):
    assert times(RateLimiter(requests=3), monkeypatch, *[1] * 8) == [0, 0, 0, 1, 1, 1, 2, 2]


def test_no_minute_has_more_tokens_than_allowed_and_a_large_request_runs_alone(monkeypatch):
    assert times(RateLimiter(tokens=100), monkeypatch, 60, 40, 10, 500, 90) == [0, 0, 1, 2, 3]


def test_a_request_that_used_fewer_tokens_than_estimated_makes_room(monkeypatch):
    async def no_sleep(seconds):
        raise AssertionError(f"waits {seconds} s")

    async def run():
        limiter = RateLimiter(tokens=100)
        limiter.settle(await limiter.wait(90), 10)
        await limiter.wait(90)

    monkeypatch.setattr(budgets.asyncio, "sleep", no_sleep)
    asyncio.run(run())


def test_without_limits_no_request_waits(monkeypatch):
    assert max(times(RateLimiter(), monkeypatch, *[10**9] * 1000)) == 0
