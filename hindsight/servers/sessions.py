"""Sessions with servers that speak the OpenAI protocol.

Where the environment decides on the address or the credentials, the official client library resolves them. Importing it
takes most of a second, so it is left out where there is nothing to resolve. The requests use aiohttp, because the
library's own transport costs four times the CPU time, more than a millisecond per request.
"""

import contextlib
import os
import re
import resource
import urllib.request

import aiohttp

from hindsight.errors import require

IDLE_SECONDS = 4.0  # how long an idle connection is kept; vLLM closes it after 5
PROBE_TIMEOUT = 20.0  # seconds that one probe, or opening a connection, may take
JSON_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


def open_session(base_url: str) -> tuple[str, aiohttp.ClientSession]:
    """A server's address and a session with it; an empty address means OPENAI_BASE_URL, else the OpenAI API.

    The key is OPENAI_API_KEY, or a placeholder that servers without keys accept. The session sets no limit on
    simultaneous requests; each is an open file, so this process gets as many as it may have. Raises UserError for an
    address with a password, which files of the run would show.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a limit above the system's own
        resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    key = os.environ.get("OPENAI_API_KEY", "").strip() or "none"
    decided = any(name.startswith("OPENAI_") and name != "OPENAI_API_KEY" for name in os.environ)
    address, headers = (base_url, JSON_HEADERS) if base_url and not decided else _resolve(base_url, key)
    has_password = bool(re.match(r"\w*:?//[^/?#]*@", address))
    require(not has_password, "an address has a user or a password: give a key by OPENAI_API_KEY")
    return address.rstrip("/"), aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}", **headers},
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=PROBE_TIMEOUT),
        trust_env=bool(urllib.request.getproxies()),
    )


def _resolve(base_url: str, key: str) -> tuple[str, dict[str, str]]:
    """The address and the headers by the library's rules, without the headers that describe the library."""
    import openai

    library = openai.AsyncOpenAI(base_url=base_url or None, api_key=key)
    headers = {name: value for name, value in library.default_headers.items() if isinstance(value, str)}
    described = ("x-stainless", "user-agent")
    return str(library.base_url), {k: v for k, v in headers.items() if not k.lower().startswith(described)}
