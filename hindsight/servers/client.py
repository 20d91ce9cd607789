"""Speaking to servers of the OpenAI protocol: requests, retries, servers that go away and come back.

A request that fails is asked for again where that makes sense: at once with back-off, by the rules of the official
client library (connections, 408, 409, 429, 5xx, Retry-After), and after that by `job_queue.run_all`, when that patience
is over or the answer itself was broken.

The official library says where a server is and how one is known to it (`openai.AsyncOpenAI`: address, key,
organisation, project, by argument or environment). Requests themselves go by aiohttp: the library's own way costs the
client more than a millisecond of its processor each, four times as much, and a run is held up by its client when many
short answers come at once.
"""

import asyncio
import email.utils
import json
import os
import random
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import openai

from hindsight.errors import UserError

RETRIES = 4  # of a request, with back-off
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds between them, doubled each time, less up to a quarter by chance
LONGEST_ASKED = 60.0  # seconds that a server's Retry-After may ask one request to wait
ATTEMPTS = 5  # of one item that takes its server down or gets broken answers, each with these retries
PROBE_SECONDS = 2.0  # between looks at a server that is away
IDLE_SECONDS = 4.0  # that a connection is kept for another request; vLLM closes it after 5
LOOK_SECONDS = 20.0  # that one look, or a connection, may take
REFUSALS = (401, 403, 404, 408, 409, 429, 502, 503, 504)  # of the server, not of the item: it is asked again later
PASSING = (408, 409, 429)  # and all from 500 on: the same request may be answered in a moment
NO_CONNECTION = (aiohttp.ClientError, OSError)
NO_LOOK = (*NO_CONNECTION, ValueError)


class ItemFailed(Exception):
    """One item that cannot be done; the message is the reason."""


class TryAgain(Exception):
    """One item got a broken answer, which may not happen again; the message says what was broken."""


class ServerAway(Exception):
    """A server does not answer, or refuses everybody for now.

    counts: whether the item may be to blame, as its request was under way when the server went.
    """

    def __init__(self, server: "ModelServer", reason: str, counts: bool):
        super().__init__(reason)
        self.server, self.counts = server, counts


REQUEST_ERRORS = (ItemFailed, TryAgain, ServerAway)


class Refused(Exception):
    """An answer with a status of 400 or more: the status, what the server says, seconds it asks to be left alone."""

    def __init__(self, status: int, body: bytes, headers: Any):
        self.status, self.pause = status, _retry_after(headers)
        super().__init__(f"status {status}: {_said(body)}")


def session(base_url: str) -> tuple[str, aiohttp.ClientSession]:
    """A server's address and a session with it; an empty one stands for OPENAI_BASE_URL's, or else the OpenAI API.

    The key is OPENAI_API_KEY's, or a word that servers without keys accept. As many requests may be under way as the
    caller starts.
    """
    key = os.environ.get("OPENAI_API_KEY") or "none"
    library = openai.AsyncOpenAI(base_url=base_url or None, api_key=key)
    headers = {"Authorization": f"Bearer {key}"} | {
        name: value
        for name, value in library.default_headers.items()
        if isinstance(value, str) and not name.lower().startswith(("x-stainless", "user-agent"))  # about the library
    }
    return str(library.base_url).rstrip("/"), aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=LOOK_SECONDS),
        trust_env=bool(urllib.request.getproxies()),
    )


class ModelServer:
    """A server of one model, by `async with`.

    deadline: seconds it may stay away before it is given up; timeout: seconds for one answer, retries included;
    before_retry: awaited before a request is sent again, so that limits of requests a minute hold for these too.
    """

    def __init__(
        self,
        url: str,
        model: str,
        deadline: float = 600.0,
        timeout: float = 3600.0,
        before_retry: Callable[[], Awaitable[Any]] | None = None,
    ):
        self.model, self.deadline, self.timeout, self._before_retry = model, deadline, timeout, before_retry
        self.url, self._session = session(url)
        self.away_since: float | None = None
        self.reason = ""
        self._failed_at = self._seen_at = self._ask_again_at = 0.0
        self._looking = asyncio.Lock()

    async def __aenter__(self) -> "ModelServer":
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._session.close()

    async def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a POST with a JSON body, as it came; a path without the leading slash is vLLM's own endpoint.

        Raises ItemFailed when the server refuses this request, TryAgain and ServerAway when it may not do so later.
        """
        url = self.url + path if path.startswith("/") else f"{self.url.removesuffix('/v1')}/{path}"
        try:
            async with asyncio.timeout(self.timeout):
                content = await self._post(url, json.dumps(body).encode())
        except Refused as refused:
            raise self._refused(refused) from None
        except NO_CONNECTION as error:
            late = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError)
            why = f"no answer within {self.timeout:.0f} s" if late else f"no connection: {_name(error)}"
            raise self._away(why, counts=True) from None
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise TryAgain(f"the answer is not whole JSON ({first_line(str(error))})") from None
        if not isinstance(answer, dict):
            raise TryAgain("the answer is not a JSON object")
        self.away_since = None
        return answer

    async def _post(self, url: str, body: bytes) -> bytes:
        """The body of an answer, after RETRIES at most. Raises Refused and those of NO_CONNECTION."""
        for tried in range(RETRIES + 1):
            asked = 0.0
            try:
                async with self._session.post(url, data=body) as answer:
                    content = await answer.read()
                if answer.status < 400:
                    return content
                refused = Refused(answer.status, content, answer.headers)
                if tried == RETRIES or not (refused.status in PASSING or refused.status >= 500):
                    raise refused
                asked = refused.pause
            except NO_CONNECTION:
                if tried == RETRIES:
                    raise
            wait = min(FIRST_WAIT * 2**tried, LONGEST_WAIT) * (1 - random.random() / 4)
            await asyncio.sleep(asked if 0 < asked <= LONGEST_ASKED else wait)
            if self._before_retry:
                await self._before_retry()
        raise AssertionError

    async def model_card(self, wait: float = 0.0) -> dict[str, Any]:
        """What the server says about its model.

        Raises UserError when the server is not there (after `wait` seconds of trying) or does not have the model.
        """
        until = time.monotonic() + wait
        while True:
            try:
                served = await self.models()
                break
            except (Refused, *NO_LOOK) as error:
                if isinstance(error, Refused) and error.status < 500:
                    raise UserError(f"the server at {self.url} refuses: {error}") from None
                if time.monotonic() >= until:
                    raise UserError(f"no server answers at {self.url} ({_name(error)})") from None
                await asyncio.sleep(1)
        if self.model not in served:
            raise UserError(f"the server at {self.url} has no model {self.model!r}; it has {', '.join(served)}")
        return served[self.model]

    async def until_back(self, ended: asyncio.Event) -> bool:
        """Waits until the server answers again, or there is nothing to do; False: it was away beyond its deadline.

        One caller looks for all. A server that answers this and refuses all else is away too.
        """
        async with self._looking:
            if self.away_since is None or self._seen_at > self._failed_at:
                return True
            await wait(ended, min(self._ask_again_at - time.monotonic(), self.deadline))
            while self.away_since is not None and not ended.is_set():
                if time.monotonic() - self.away_since > self.deadline:
                    return False
                with suppress(Refused, *NO_LOOK):
                    if self.model in await self.models():
                        self._seen_at = time.monotonic()
                        return True
                await wait(ended, PROBE_SECONDS)
        return True

    async def models(self) -> dict[str, dict[str, Any]]:
        """The models that the server has by name, as it describes them. Raises Refused and those of NO_LOOK."""
        async with asyncio.timeout(LOOK_SECONDS), self._session.get(f"{self.url}/models") as answer:
            content = await answer.read()
        if answer.status >= 400:
            raise Refused(answer.status, content, answer.headers)
        listed = json.loads(content)
        entries = listed.get("data") if isinstance(listed, dict) else None
        return {entry["id"]: entry for entry in entries or []}

    def _away(self, reason: str, counts: bool, pause: float = 0.0) -> ServerAway:
        self._failed_at = time.monotonic()
        self.away_since = self.away_since or self._failed_at
        self.reason, self._ask_again_at = reason, self._failed_at + pause
        return ServerAway(self, reason, counts)

    def _refused(self, refused: Refused) -> Exception:
        if refused.status in REFUSALS:
            return self._away(str(refused), counts=False, pause=refused.pause)
        if refused.status >= 500:
            return TryAgain(str(refused))
        self.away_since = None
        return ItemFailed(str(refused))


async def require_model(url: str, model: str) -> None:
    """Raises UserError when there is no server at the address, or it does not have the model."""
    async with ModelServer(url, model) as server:
        await server.model_card()


async def only_model(url: str) -> str:
    """The one model of a server. Raises UserError when it is not there, or has several."""
    async with ModelServer(url, "") as server:
        try:
            served = await server.models()
        except (Refused, *NO_LOOK) as error:
            raise UserError(f"no server answers at {server.url} ({_name(error)})") from None
    if len(served) != 1:
        raise UserError(f"the server at {server.url} has {', '.join(served) or 'no model'}: name the one to ask")
    return next(iter(served))


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set or the seconds are over."""
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)


def first_line(text: str) -> str:
    """The first line of a message, of 300 characters at most."""
    return (text.strip() or "no reason given").splitlines()[0][:300]


def _name(error: Exception) -> str:
    """What an error says, or else its kind."""
    return first_line(str(error) or type(error).__name__)


def _said(body: bytes) -> str:
    """The message in the body of a refusal: the protocol's {"error": {"message": ...}}, vLLM's and plain text too."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, AttributeError):
        content = json.loads(text)
        said = content.get("error", content)
        text = said.get("message") or said.get("detail") or text
    return first_line(str(text))


def _retry_after(headers: Any) -> float:
    """Seconds that a server asks to be left alone for; 0: it does not say (RFC 9110, 10.2.3: seconds, or a date)."""
    if milliseconds := headers.get("retry-after-ms"):  # OpenAI's
        with suppress(ValueError):
            return max(0.0, float(milliseconds) / 1000)
    said = headers.get("retry-after") or "0"
    try:
        return max(0.0, float(said))
    except ValueError:
        date = email.utils.parsedate_tz(said)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else 0.0
