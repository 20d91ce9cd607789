"""A child's report to the judge, besides the program's own output: lines of JSON through a pipe.

{"error": "syntax error"}, {"error": "missing function"}, {"error": "exception", "name": "ValueError"},
{"value": tagged} for each call (see `tagged_values`)
"""

import json
import os
from builtins import BaseException, isinstance, type  # noqa: UP029  # the program may have replaced every builtin
from typing import Any

from SkyThought.sandbox.tagged_values import class_name

REPORT_FD = 100  # above the numbers of a program's own files


class Report:
    """Made before the program runs, so that the program cannot replace what it uses."""

    def __init__(self) -> None:
        self.pid = 0  # the child's, set in it
        self.failed = False
        # Untouched address space, released when the program has used up its own.
        self.spare: bytes | None = bytes(8 << 20)
        self.dumps, self.write, self.getpid, self.exit = json.dumps, os.write, os.getpid, os._exit

    def forked(self) -> bool:
        """Whether this is a fork made by the program: only the program itself is judged."""
        return self.getpid() != self.pid

    def send(self, **message: Any) -> None:
        """Send a line; ends the child if the program closed the pipe."""
        if self.forked():
            return
        line = memoryview(self.dumps(message).encode() + b"\n")
        try:
            while line:
                line = line[self.write(REPORT_FD, line) :]
        except OSError:
            self.exit(1)

    def exception(self, error: BaseException | None) -> None:
        """Report an exception that the program did not catch."""
        if isinstance(error, MemoryError):
            self.spare = None
        self.failed = True
        self.send(error="exception", name="MemoryError" if isinstance(error, MemoryError) else class_name(type(error)))
