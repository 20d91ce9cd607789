"""Why a program failed when it ran: from its child's ending and report to the reason of a verdict."""

import json
import os
import signal
from typing import Any

from hindsight.files.verdicts import (
    MEMORY_LIMIT,
    MISSING_FUNCTION,
    OUTPUT_LIMIT,
    RUNTIME_ERROR,
    SYNTAX_ERROR,
    TIME_LIMIT,
)
from SkyThought.sandbox import messages
from SkyThought.sandbox.messages import Ending

BAD_RESULT = f"{RUNTIME_ERROR}: bad result"  # a good ending without a value
OUTPUT = b"o"  # a limit that the judge notices itself, besides those of `messages`
LONG_INTEGER = 200_000  # digits: Python reads them in a quarter of a second, and twice as many in a whole one
_REASONS_OF_LIMITS = {
    messages.CPU: TIME_LIMIT,
    messages.WALL: TIME_LIMIT,
    OUTPUT: OUTPUT_LIMIT,
    messages.DISK: OUTPUT_LIMIT,
    messages.THREADS: f"{RUNTIME_ERROR}: too many threads",
}


def find_reason(
    ending: Ending | None, report: dict[str, Any], seconds: float, timeout: float, without_value: str = ""
) -> str:
    """The reason of a test or call that failed; "" if it ended well or returned a value.

    ending: None while the child still runs; report: of the call, or of how the program failed; without_value: the
    reason if it ended well and there is no value.
    """
    error = report.get("error")
    if ending is not None and "value" not in report and ending.limit in _REASONS_OF_LIMITS:
        return _REASONS_OF_LIMITS[ending.limit]
    if seconds > timeout:
        return TIME_LIMIT
    if error in (SYNTAX_ERROR, MISSING_FUNCTION):
        return error
    if error == "exception":
        return reason_of_exception(report.get("name"))
    if "value" in report:
        return ""
    return without_value if ending is None else _reason_of_status(ending.status, without_value)


def reason_of_exception(name: Any) -> str:
    """The reason by the name of an exception's class, which the program may have forged."""
    name = _printable(str(name)[:80])
    return MEMORY_LIMIT if name == "MemoryError" else f"{RUNTIME_ERROR}: {name}"


def read_report(text: bytes) -> dict[str, Any]:
    """The first line of a child's report; empty if it is missing or malformed."""
    line = text.partition(b"\n")[0]
    try:
        if len(line) > LONG_INTEGER:
            report = json.loads(line, parse_int=_IntegerReader().read)
        else:
            report = json.loads(line) if line else {}
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


class _IntegerReader:
    """Reads integers for at most a quarter of a second in total; later ones stay text, which equals no integer."""

    def __init__(self) -> None:
        self.left = LONG_INTEGER**2

    def read(self, text: str) -> int | str:
        self.left -= len(text) ** 2
        return int(text) if self.left >= 0 else text


def _printable(text: str) -> str:
    """The text with characters that no terminal or file should receive escaped as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _reason_of_status(status: int, without_value: str) -> str:
    """The reason by a wait status."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return TIME_LIMIT
    if code < 0:
        names = {member.value: member.name for member in signal.Signals}
        return f"{RUNTIME_ERROR}: {names.get(-code, f'signal {-code}')}"
    return f"{RUNTIME_ERROR}: exit status {code}" if code or without_value else ""
