"""The client of servers that speak the OpenAI protocol: requests, retries, servers that go away and come back.

A failed request is sent again if that can help: at once with back-off, by the rules of the official client library
(connections, 408, 409, 429, 5xx, Retry-After), and later by `job_queue.JobQueue`, when these retries are used up or
the answer itself was broken.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp

from hindsight.errors import UserError, require
from hindsight.servers.alpha_dial import HEADER, NO_DIAL, PATH, Dial, OtherAlpha, dial_in
from hindsight.servers.refusals import Refused, described_error, message_in
from hindsight.servers.replies import (
    BadReply,
    ItemFailed,
    TryAgain,
    described,
    models_in,
    read_json,
    shortened,
    whole_number,
)
from hindsight.servers.request_dialect import RequestDialect
from hindsight.servers.sessions import PROBE_TIMEOUT, open_session

RETRIES = 4  # per request, with back-off
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds between retries: doubled each time, minus a random share of up to 25 %
LONGEST_RETRY_AFTER = 60.0  # seconds; the client ignores a longer Retry-After between two retries
ATTEMPTS = 5  # per item that may have taken its server down or gets broken answers; each attempt has these retries
PROBE_SECONDS = 2.0  # between two probes of a server that is away
REFUSED_FOR_NOW = (401, 403, 404, 408, 409, 429, 502, 503, 504)  # the server refuses everybody: try again later
RETRY_AT_ONCE = (408, 409, 429)  # and every status from 500 on
NO_CONNECTION = (aiohttp.ClientError, OSError)
PROBE_ERRORS = (*NO_CONNECTION, BadReply)
NO_LIST = (404, 405, 501)  # the server has no list of models
SHORT = {"max_tokens": 48, "temperature": 1.5, "seed": 1}  # a short request that tests a server
PROBES = (
    ("/chat/completions", {"messages": [{"role": "user", "content": "A"}], **SHORT}),
    ("/completions", {"prompt": "A", **SHORT}),
    ("/embeddings", {"input": "A"}),
)


class ServerAway(Exception):
    """A server does not answer, or refuses everybody for now.

    counts: whether the item may be the cause, because its request was running when the server went away.
    """

    def __init__(self, server: "ModelServer", reason: str, counts: bool):
        super().__init__(f"{server.url}: {reason}")
        self.server, self.counts = server, counts


REQUEST_ERRORS = (ItemFailed, TryAgain, ServerAway)


class ModelServer:
    """One model on one server; use it with `async with`.

    deadline: seconds the server may stay away before it is given up; timeout: seconds for one answer, retries included;
    before_retry: awaited before a request is sent again, so that rate limits hold for retries too.
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
        self.url, self._session = open_session(url)
        self.dialect = RequestDialect()
        self.dial: Dial | None = None
        self.lists_model = True
        self.answered_as: set[str] = set()  # other names of the model in replies
        self.away_since: float | None = None
        self.reason = ""
        self._failed_at = self._seen_at = self._ask_again_at = 0.0
        self._probing = asyncio.Lock()

    async def __aenter__(self) -> "ModelServer":
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._session.close()

    async def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON reply to a POST; a path without a leading slash is one of vLLM's own endpoints.

        Raises ItemFailed if the server refuses this request for good, TryAgain or ServerAway if a later attempt may
        succeed, OtherAlpha if the server has another alpha than `pin_alpha` found.
        """
        url = self.url + path if path.startswith("/") else f"{self.url.removesuffix('/v1')}/{path}"
        try:
            async with asyncio.timeout(self.timeout):
                content = await self._post(url, json.dumps(body).encode())
        except Refused as refused:
            raise self._refused(refused) from None
        except NO_CONNECTION as error:
            late = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError)
            reason = f"no answer within {self.timeout:.0f} s" if late else f"no connection: {described_error(error)}"
            raise self._away(reason, counts=True) from None
        reply = read_json(content, self.url)
        if not isinstance(reply, dict):
            raise BadReply(self.url, f"{described(reply)} where an object was expected")
        error = reply if reply.get("object") == "error" else reply.get("error")
        if error:
            code = whole_number(error.get("code")) if isinstance(error, dict) else None
            if code and 400 <= code < 600:
                raise self._refused(Refused(code, content, {}))
            raise BadReply(self.url, f"status 200 with an error: {message_in(content)}")
        self.away_since = None
        return reply

    async def ask_as_it_wants(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """As `ask`, after finding out which parameters the server accepts; also the body as it was sent.

        The body names parameters that were left out under `not_sent`. Raises what `ask` raises.
        """
        while True:
            sent, recorded = self.dialect.sent(body), self.dialect.recorded(body)
            try:
                return await self.ask(path, sent), recorded
            except ItemFailed as refused:
                if not self.dialect.learn(str(refused).removeprefix(self.url), sent):
                    raise

    def sentences(self) -> list[str]:
        """How the server differs from what was requested, for the report of a run."""
        names = ", ".join(map(shortened, sorted(self.answered_as)))
        other = [f"{self.url} was asked for {self.model} and names {names} in its replies"] if names else []
        return other + self.dialect.sentences(self.url)

    async def _post(self, url: str, body: bytes) -> bytes:
        """The body of a reply, after at most RETRIES retries. Raises Refused and the errors of NO_CONNECTION."""
        headers = {HEADER: self.dial.header} if self.dial else {}
        for tried in range(RETRIES + 1):
            retry_after = 0.0
            try:
                async with self._session.post(url, data=body, headers=headers) as response:
                    self._require_alpha(response)
                    content = await response.read()
                if response.status < 400:
                    return content
                refused = Refused(response.status, content, response.headers)
                if tried == RETRIES or not (refused.status in RETRY_AT_ONCE or refused.status >= 500):
                    raise refused
                retry_after = refused.retry_after
            except NO_CONNECTION:
                if tried == RETRIES:
                    raise
            backoff = min(FIRST_WAIT * 2**tried, LONGEST_WAIT) * (1 - random.random() / 4)
            await asyncio.sleep(retry_after if 0 < retry_after <= LONGEST_RETRY_AFTER else backoff)
            if self._before_retry:
                await self._before_retry()
        raise AssertionError

    async def model_card(self, wait: float = 0.0) -> dict[str, Any]:
        """The server's description of its model; empty if it answers to the name without listing it, as with an alias.

        Raises UserError if it does not serve the model, or does not answer.
        """
        served = await self.wait_for_models(wait)
        self.lists_model = self.model in served
        if not self.lists_model and not await self._answers():
            has = f"it has {', '.join(served)}" if served else "it lists none (most addresses end with /v1)"
            raise UserError(f"the server at {self.url} has no model {self.model!r}; {has}")
        return served.get(self.model, {})

    async def pin_alpha(self) -> Dial | None:
        """Reads the alpha of a server that merges, and from now on accepts no answer made with another one.

        None: the server has no dial. Raises UserError if it does not answer.
        """
        try:
            async with asyncio.timeout(PROBE_TIMEOUT), self._session.get(self.url + PATH) as response:
                status, content = response.status, await response.read()
        except NO_CONNECTION as error:
            raise UserError(f"no server answers at {self.url} ({described_error(error)})") from None
        self.dial = None if status in NO_DIAL else dial_in(content, self.url)
        return self.dial

    def _require_alpha(self, response: aiohttp.ClientResponse) -> None:
        """Raises OtherAlpha if a reply was not made with the alpha that `pin_alpha` found."""
        if self.dial is None:
            return
        alpha = response.headers.get(HEADER)
        if alpha != self.dial.header and (alpha or response.status < 400):
            raise OtherAlpha(self.url, self.dial.header, alpha)

    async def _answers(self) -> bool:
        """Whether the server answers a short request to the model."""
        for path, body in PROBES:
            with suppress(ItemFailed, TryAgain, ServerAway):
                reply, _ = await self.ask_as_it_wants(path, {"model": self.model, **body})
                if reply.get("choices") or reply.get("data"):
                    return True
        return False

    async def wait_for_models(self, wait: float = 0.0) -> dict[str, dict[str, Any]]:
        """As `models`, after up to `wait` seconds of trying. Raises UserError if no server answers by then."""
        until = time.monotonic() + wait
        while True:
            try:
                return await self.models()
            except (Refused, *PROBE_ERRORS) as error:
                if isinstance(error, Refused) and error.status in NO_LIST:
                    return {}
                if isinstance(error, Refused) and error.status < 500:
                    raise UserError(f"the server at {self.url} refuses: {error}") from None
                if time.monotonic() >= until:
                    found = f"no server answers at {self.url} ({described_error(error)})"
                    raise UserError(f"{found}: start it, or correct the address") from None
                await asyncio.sleep(1)

    async def until_back(self, ended: asyncio.Event) -> bool:
        """Waits until the server answers again or `ended` is set; False: it stayed away beyond its deadline.

        One caller probes for all. A server that answers probes but refuses every request counts as away too.
        """
        async with self._probing:
            if self.away_since is None or self._seen_at > self._failed_at:
                return True
            # each caller waits here in turn, so a wait past the deadline would be multiplied by their number
            await _wait(ended, min(self._ask_again_at, self.away_since + self.deadline) - time.monotonic())
            while self.away_since is not None and not ended.is_set():
                if time.monotonic() - self.away_since > self.deadline:
                    return False
                if await self._is_seen():
                    self._seen_at = time.monotonic()
                    return True
                await _wait(ended, PROBE_SECONDS)
        return True

    async def _is_seen(self) -> bool:
        """Whether the server lists its models, with this one if it did before."""
        try:
            return self.model in await self.models() or not self.lists_model
        except Refused as refused:
            return not self.lists_model and refused.status in NO_LIST
        except PROBE_ERRORS:
            return False

    async def models(self) -> dict[str, dict[str, Any]]:
        """The models on the server and their aliases, each with its description.

        Raises Refused and the errors of PROBE_ERRORS.
        """
        async with asyncio.timeout(PROBE_TIMEOUT), self._session.get(f"{self.url}/models") as response:
            content = await response.read()
        if response.status >= 400:
            raise Refused(response.status, content, response.headers)
        return models_in(read_json(content, self.url))

    def _away(self, reason: str, counts: bool, pause: float = 0.0) -> ServerAway:
        self._failed_at = time.monotonic()
        self.away_since = self.away_since or self._failed_at
        self.reason, self._ask_again_at = reason, self._failed_at + pause
        return ServerAway(self, reason, counts)

    def _refused(self, refused: Refused) -> Exception:
        if refused.status in REFUSED_FOR_NOW:
            return self._away(str(refused), counts=False, pause=refused.retry_after)
        if refused.status >= 500:
            return TryAgain(f"{self.url}: {refused}")
        self.away_since = None
        return ItemFailed(f"{self.url}: {refused}")


@asynccontextmanager
async def open_servers(
    urls: Sequence[str], model: str, deadline: float, timeout: float
) -> AsyncIterator[list[ModelServer]]:
    """A model's servers; without an address, the one that OPENAI_BASE_URL names, else the OpenAI API."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(ModelServer(url, model, deadline, timeout)) for url in urls or ("",)]


async def served_model(url: str, model: str = "") -> str:
    """The model that a server serves under this name; "" stands for its only one.

    Raises UserError if no server answers at the address, if it does not serve the model, or serves several or none.
    """
    async with ModelServer(url, model) as server:
        if model:
            await server.model_card()
            return model
        served = list(await server.wait_for_models())
        require(
            len(served) == 1, f"the server at {server.url} has {', '.join(served) or 'no model'}: name the one to ask"
        )
        return served[0]


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set or the seconds are over."""
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
