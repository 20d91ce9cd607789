"""The alpha dial of a server that merges while it loads: read and set over HTTP.

    read_dial("http://localhost:8000/v1")       # Dial(alpha=0.7, method="lerp", base="...", finetuned="...", changes=0)
    set_alpha("http://localhost:8000/v1", 0.4)  # waits for the requests in flight, then changes the weights

Each answer of such a server names the alpha that it was made with in the header HEADER. The server refuses a request
that names another alpha, so no answer is recorded with an alpha that it was not made with. The server's side is
`hindsight.merging.dial`.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from hindsight.errors import UserError, require
from hindsight.servers.refusals import described_error, message_in
from hindsight.servers.replies import BadReply, described, read_json
from hindsight.servers.sessions import PROBE_TIMEOUT, open_session

LOAD_FORMAT = "hindsight"  # of vLLM, for a server that merges
HEADER = "X-Hindsight-Alpha"  # the alpha as JSON without spaces
PATH = "/alpha"  # below the OpenAI address
SET_SECONDS = 7200.0  # for the requests in flight, which end first, and for reading both parents
NO_DIAL = (404, 405, 501)


@dataclass(frozen=True)
class Dial:
    """What a server merges: `alpha` is the fine-tuned model's weight; `changes` counts its changes since the start."""

    alpha: Any
    method: str
    base: str
    finetuned: str
    changes: int

    @property
    def header(self) -> str:
        """The alpha as requests and answers name it."""
        return header_of(self.alpha)


class OtherAlpha(UserError):
    """A server's alpha is not the one that answers were requested for."""

    def __init__(self, url: str, wanted: str, has: str | None):
        now = f"alpha {has}" if has else "no alpha"
        changed = f"{url} had alpha {wanted} when this began and has {now} now"
        super().__init__(f"{changed}: answers made with another alpha were not kept")


def header_of(alpha: Any) -> str:
    """The value of HEADER for an alpha: the same text for 1 and 1.0."""
    return json.dumps(float(alpha) if isinstance(alpha, int) else alpha, separators=(",", ":"))


def dial_in(content: bytes, url: str) -> Dial:
    """The dial that a reply describes. Raises UserError if it describes none."""
    try:
        reply = read_json(content, url)
    except BadReply as error:
        raise UserError(f"the request for its alpha failed: {error}") from None
    keys = Dial.__dataclass_fields__.keys()
    if not isinstance(reply, dict) or not keys <= reply.keys() or not isinstance(reply["alpha"], int | float | dict):
        raise UserError(f"{url} does not report its alpha: it sent {described(reply)}")
    return Dial(**{key: reply[key] for key in keys})


def read_dial(url: str) -> Dial | None:
    """The dial of the server at an OpenAI address; None if it has none. Raises UserError if it does not answer."""
    status, content = asyncio.run(_request(url, "GET", None, PROBE_TIMEOUT))
    if status in NO_DIAL:
        return None
    require(status < 400, f"{url} does not report its alpha: {message_in(content)}")
    return dial_in(content, url)


def set_alpha(url: str, alpha: Any, seconds: float = SET_SECONDS) -> Dial:
    """Sets the alpha of the server at an OpenAI address and returns its dial, when all its weights are of that alpha.

    Requests in flight end before the change, and those that arrive meanwhile wait. Raises UserError if the server has
    no dial, if another client is setting it, if the alpha is invalid, or if the change takes longer than this.
    """
    status, content = asyncio.run(_request(url, "POST", {"alpha": alpha}, seconds))
    require(status not in NO_DIAL, f"{url} has no alpha dial: {message_in(content)}")
    require(status < 400, f"{url} did not set alpha {header_of(alpha)}: {message_in(content)}")
    return dial_in(content, url)


async def _request(url: str, method: str, body: dict[str, Any] | None, seconds: float) -> tuple[int, bytes]:
    address, session = open_session(url)
    try:
        async with session, asyncio.timeout(seconds), session.request(method, address + PATH, json=body) as response:
            return response.status, await response.read()
    except (aiohttp.ClientError, OSError) as error:
        late = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError)
        reason = f"no answer within {seconds:.0f} s" if late else described_error(error)
        raise UserError(f"no server answers at {address} ({reason})") from None
