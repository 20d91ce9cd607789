"""Refusals and the waits they ask for, counts of failures, and the address and headers of requests."""

import asyncio
import json
import os
import resource
import time

import pytest

from hindsight.servers import sessions
from hindsight.servers.client import ModelServer, Refused, open_session
from hindsight.servers.job_queue import Failures

DATE = "%a, %d %b %Y %H:%M:%S GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_may_be_a_number_of_seconds(headers, seconds):
    assert Refused(429, b"", headers).retry_after == seconds


def test_a_process_may_open_a_connection_per_request_in_flight():
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))

    async def open_and_close() -> None:
        async with ModelServer("http://127.0.0.1:9/v1", "m"):
            pass

    asyncio.run(open_and_close())
    try:
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_wait_longer_than_the_deadline_ends_at_the_deadline_for_all_requests_together():
    """Before, each of the requests in flight waited for the deadline, one after the other: hours with 256 of them."""

    async def wait() -> list[bool]:
        async with ModelServer("http://127.0.0.1:9/v1", "m", deadline=0.2) as server:
            server._refused(Refused(429, b"", {"retry-after": "86400"}))
            ended = asyncio.Event()
            return await asyncio.gather(*(server.until_back(ended) for _ in range(256)))

    begun = time.monotonic()
    assert asyncio.run(wait()) == [False] * 256
    assert time.monotonic() - begun < 256 * 0.2 / 2


def test_retry_after_may_be_a_date():
    date = time.strftime(DATE, time.gmtime(time.time() + 30))
    assert Refused(503, b"", {"retry-after": date}).retry_after == pytest.approx(30, abs=10)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"error": {"message": "Too long.\\nMore."}}', "status 400: Too long. More."),
        (b'{"message": "Too long."}', "status 400: Too long."),
        (b'{"detail": "Not Found"}', "status 400: Not Found"),
        (b'{"error": "no", "error_type": "validation"}', "status 400: no"),
        (b'[{\n "error": {"code": 400, "message": "Unknown name"}\n}]', "status 400: Unknown name"),
        (b'{"error": null, "msg": "No money.", "code": 1113}', "status 400: No money."),
        (b'{"error": {"message": "Failed", "metadata": {"raw": "{\\"error\\": \\"no\\"}"}}}', "status 400: Failed: no"),
        (b"<html>Bad Gateway</html>", "status 400: <html>Bad Gateway</html>"),
        (b"\xff", "status 400: \ufffd"),
        (b"", "status 400: no reason given"),
        (b"[1]", "status 400: [1]"),
    ],
)
def test_a_refusal_has_the_servers_message_in_one_line(body, sentence):
    assert str(Refused(400, body, {})) == sentence


def test_a_long_message_keeps_its_end_where_template_engines_say_what_failed():
    message = "\n---\nWhile executing CallExpression" + " of the template" * 50 + "\nError: System role not supported"
    sentence = str(Refused(500, json.dumps({"error": {"message": message}}).encode(), {}))
    assert sentence.startswith("status 500: --- While executing") and len(sentence) < 330
    assert sentence.endswith(" Error: System role not supported")


def test_failures_that_differ_only_in_numbers_are_one_reason_and_the_first_five_are_named():
    failures = Failures()
    for number in range(7):
        failures.add(f"question {number}", f"status 400: the prompt has {number} tokens")
    failures.add("question 9", "no choices")
    assert len(failures) == 8
    assert failures.counts() == {"status 400: the prompt has 0 tokens": 7, "no choices": 1}
    first, second = failures.report().splitlines()
    assert first.endswith("question 0, question 1, question 2, question 3, question 4 and 2 more")
    assert second == "1 failed: no choices: question 9"


def address_and_headers(url):
    async def make():
        address, made = open_session(url)
        await made.close()
        return address, dict(made.headers)

    return asyncio.run(make())


def test_the_address_is_the_given_one_else_that_of_the_environment_else_openais(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert address_and_headers("http://one:8000/v1/")[0] == "http://one:8000/v1"
    assert address_and_headers("")[0] == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://two/v1")
    assert address_and_headers("")[0] == "http://two/v1"


@pytest.mark.parametrize("url", ["http://one:8000/v1/", "https://one/api", "http://[::1]:8000/v1"])
def test_without_the_library_the_address_and_the_headers_are_the_same(monkeypatch, url):
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    alone = address_and_headers(url)
    monkeypatch.setenv("OPENAI_LOG", "")  # any other of the library's variables makes it decide
    monkeypatch.setattr(sessions, "JSON_HEADERS", None)
    assert address_and_headers(url) == alone


def test_requests_carry_the_key_and_the_organisation_and_nothing_about_this_machine(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret\r\n")
    monkeypatch.setenv("OPENAI_ORG_ID", "lab")
    headers = address_and_headers("http://one/v1")[1]
    assert headers == {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Authorization": "Bearer secret",
        "OpenAI-Organization": "lab",
    }
    monkeypatch.delenv("OPENAI_API_KEY")
    assert address_and_headers("http://one/v1")[1]["Authorization"] == "Bearer none"
