"""A child's report to the judge, separate from the program's own output: lines of JSON through a pipe.

{"error": "syntax error"}, {"error": "missing function"}, {"error": "exception", "name": "ValueError"},
{"value": tagged, "cpu": seconds} for each call (see `tag` and `comparison`), {"thread": "ValueError"}: ended well,
except for a thread
"""

import json
import os
import sys
from builtins import BaseException, bool, isinstance, issubclass, type  # noqa: UP029  # may be replaced by the program
from typing import Any

REPORT_FD = 100  # above the descriptors of a program's own files

class_name = type.__dict__["__name__"].__get__  # of a class, regardless of its metaclass
_SCALARS = (bool, int, float, str)


class Report:
    """Made before the program runs, so that the program cannot replace what it uses."""

    def __init__(self) -> None:
        self.pid = 0  # the child's, set in it
        self.dead_thread = ""  # the exception that ended a thread of the program
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
        self.send(error="exception", name=self._name(error))

    def thread_died(self, args: Any) -> None:
        """In place of `threading.excepthook`: an interpreter prints the exception, and its exit status stays 0."""
        if args.exc_type is not SystemExit:
            if isinstance(args.exc_value, MemoryError):
                self.spare = None
            self.dead_thread = self._name(args.exc_value)

    def _name(self, error: BaseException | None) -> str:
        return "MemoryError" if isinstance(error, MemoryError) else class_name(type(error))


def tag(value: Any) -> Any:
    """A returned value in tagged form.

    Of a subclass (Counter, namedtuple, IntEnum) the content of the built-in type counts, not the class's own methods;
    numpy's scalars become the Python numbers they stand for. Of any other object, including sets and arrays, only the
    type's name is reported: no JSON value equals it.
    """
    kind = type(value)
    if value is None or kind is int or kind is str or kind is float or kind is bool:
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        value = numpy.generic.item(value)
        return value if type(value) in _SCALARS else ["object", class_name(kind)]
    for scalar, convert in ((int, int.__int__), (float, float.__float__), (str, str.__str__)):
        if issubclass(kind, scalar):
            return convert(value)
    if issubclass(kind, dict):
        return ["dict", [[tag(key), tag(item)] for key, item in dict.items(value)]]
    for sequence in (list, tuple):
        if issubclass(kind, sequence):
            return [sequence.__name__, [tag(item) for item in sequence.__iter__(value)]]
    return ["object", class_name(kind)]
