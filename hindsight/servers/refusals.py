"""A server's refusal: its status, its message in one line, and the wait that it asks for."""

import email.utils
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

LONGEST, SHOWN_END = 300, 100  # characters of a message to show; of a longer one, SHOWN_END of them from its end
MESSAGES = ("message", "detail", "msg", "error_msg", "reason")  # where servers put their sentence


class Refused(Exception):
    """A response with status 400 or more: its status, the server's message, and the seconds of its Retry-After."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]):
        self.status, self.retry_after = status, _retry_after(headers)
        super().__init__(f"status {status}: {message_in(body)}")


def in_one_line(text: str) -> str:
    """A message in one line; of a long one, the beginning and the end, where template engines say what failed."""
    line = " ".join(text.split()) or "no reason given"
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - SHOWN_END]} ... {line[-SHOWN_END:]}"
    return _printable(line)


def first_line(text: str) -> str:
    """The first line of a message, up to 400 characters, with unprintable characters escaped."""
    return _printable((text.strip() or "no reason given").splitlines()[0][:400])


def described_error(error: Exception) -> str:
    """An error's message in one line, else its type."""
    return first_line(str(error) or type(error).__name__)


def message_in(body: bytes) -> str:
    """The message of a refusal in one line: of the protocol's {"error": {"message": ...}}, or of another form."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        content = json.loads(text)
        content = content[0] if isinstance(content, list) and content else content
        error = (content.get("error") or content) if isinstance(content, dict) else content
        text = error if isinstance(error, str) and error else _message_of(error) if isinstance(error, dict) else text
    return in_one_line(text)


def _printable(line: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _message_of(error: dict[str, Any]) -> str:
    """The message of an error, with its further details: the parameter, and what a provider told a proxy."""
    text = str(next((error[key] for key in MESSAGES if error.get(key)), "") or json.dumps(error))
    if isinstance(parameter := error.get("param"), str) and parameter not in text:
        text = f"{in_one_line(text)} ({error.get('code') or 'parameter'}: {parameter})"
    details = error.get("metadata")
    raw = details.get("raw") if isinstance(details, dict) else None
    return f"{text}: {message_in(raw.encode())}" if isinstance(raw, str) else text


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
