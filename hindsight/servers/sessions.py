"""Sessions with servers that speak the OpenAI protocol.

The official client library resolves the address and the credentials; the requests use aiohttp, because the library's
own transport costs four times the CPU time, more than a millisecond per request.
"""

import os
import urllib.request

import aiohttp
import openai

IDLE_SECONDS = 4.0  # how long an idle connection is kept; vLLM closes it after 5
PROBE_TIMEOUT = 20.0  # seconds that one probe, or opening a connection, may take


def open_session(base_url: str) -> tuple[str, aiohttp.ClientSession]:
    """A server's address and a session with it; an empty address means OPENAI_BASE_URL, else the OpenAI API.

    The key is OPENAI_API_KEY, or a placeholder that servers without keys accept. The session sets no limit on
    simultaneous requests.
    """
    key = os.environ.get("OPENAI_API_KEY") or "none"
    library = openai.AsyncOpenAI(base_url=base_url or None, api_key=key)
    headers = {"Authorization": f"Bearer {key}"} | {
        name: value
        for name, value in library.default_headers.items()
        if isinstance(value, str)
        and not name.lower().startswith(("x-stainless", "user-agent"))  # these describe the library
    }
    return str(library.base_url).rstrip("/"), aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=PROBE_TIMEOUT),
        trust_env=bool(urllib.request.getproxies()),
    )
