"""Limits a minute, budgets and bills, by hand-made sums."""

import asyncio
import time

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
def test_a_budget_without_one_is_refused(text):
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


def test_calls_under_way_count_against_the_budget():
    bill = Bill(Prices(0, 0), Budget(100, "tokens"))
    first = bill.reserve(40, 20)
    with pytest.raises(OverBudget):
        bill.reserve(40, 20)
    bill.settle(first, {"prompt_tokens": 30, "completion_tokens": 10})
    bill.settle(bill.reserve(40, 20), {"prompt_tokens": 30, "completion_tokens": 10})
    with pytest.raises(OverBudget):
        bill.reserve(15, 10)


def times(pace, *sizes):
    """When requests of these sizes went that were all there at once."""

    async def run():
        begin, went = time.monotonic(), []

        async def one(size):
            await pace.wait(size)
            went.append(time.monotonic() - begin)

        await asyncio.gather(*map(one, sizes))
        return went

    return asyncio.run(run())


def test_no_minute_has_more_requests_than_may_be(monkeypatch):
    monkeypatch.setattr(budgets, "MINUTE", 0.3)
    went = times(RateLimiter(requests=3), *[1] * 8)
    assert [round(moment / 0.3) for moment in went] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert all(later - earlier >= 0.299 for earlier, later in zip(went, went[3:], strict=False))


def test_no_minute_has_more_tokens_than_may_be_and_a_large_request_goes_alone(monkeypatch):
    monkeypatch.setattr(budgets, "MINUTE", 0.3)
    went = times(RateLimiter(tokens=100), 60, 40, 10, 500, 90)
    assert [round(moment / 0.3) for moment in went] == [0, 0, 1, 2, 3]


def test_a_request_that_used_less_makes_room(monkeypatch):
    monkeypatch.setattr(budgets, "MINUTE", 5)

    async def run():
        pace = RateLimiter(tokens=100)
        pace.settle(await pace.wait(90), 10)
        await asyncio.wait_for(pace.wait(90), 1)

    asyncio.run(run())


def test_without_limits_nobody_waits():
    assert max(times(RateLimiter(), *[10**9] * 1000)) < 1
