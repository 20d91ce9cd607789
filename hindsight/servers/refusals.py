"""A server's refusal: its status, its message in one line, and the wait that it asks for."""

import email.utils
import json
import time
from collections.abc import Mapping
from contextlib import suppress


class Refused(Exception):
    """A response with status 400 or more: its status, the server's message, and the seconds of its Retry-After."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]):
        self.status, self.retry_after = status, _retry_after(headers)
        super().__init__(f"status {status}: {message_in(body)}")


def first_line(text: str) -> str:
    """The first line of a message, up to 300 characters, with unprintable characters escaped."""
    line = (text.strip() or "no reason given").splitlines()[0][:300]
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def described_error(error: Exception) -> str:
    """An error's message in one line, else its type."""
    return first_line(str(error) or type(error).__name__)


def message_in(body: bytes) -> str:
    """The message of a refusal: the protocol's {"error": {"message": ...}}, vLLM's own form, or plain text."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, AttributeError, RecursionError):
        content = json.loads(text)
        error = content.get("error", content)
        text = str(error.get("message") or error.get("detail") or text)
        if isinstance(parameter := error.get("param"), str) and parameter not in text:
            text = f"{first_line(text)} ({error.get('code') or 'parameter'}: {parameter})"
    return first_line(text)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait before the next request; 0: the server names none (RFC 9110, 10.2.3: seconds, or a date)."""
    if milliseconds := headers.get("retry-after-ms"):  # OpenAI's
        with suppress(ValueError):
            return max(0.0, float(milliseconds) / 1000)
    value = headers.get("retry-after") or "0"
    try:
        return max(0.0, float(value))
    except ValueError:
        date = email.utils.parsedate_tz(value)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else 0.0
