"""What a forked child of the warm process does: runs one program, as a fresh interpreter would, and ends.

It never sees an expected output. What it has to say beside the program's own output goes as lines of JSON
through the report pipe: {"error": "syntax error"}, {"error": "missing function"}, {"error": "exception",
"name": "ValueError"}, {"value": tagged} for each call (see `comparison`).
"""

import atexit
import ctypes
import fcntl
import gc
import io
import json
import mmap
import os
import resource
import signal
import sys
import threading
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy

REPORT_FD = 100  # above the numbers a program's own files get
CALLS_FD = 101
EXEC_DEPTH = 3  # what `_execute` and `exec` add to the depth Python counts
FILE_BYTES = 64 << 20  # largest file a program may write
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Report:
    """The way back to the judge, made before the program runs: what the program replaces does not matter."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.spare = mmap.mmap(-1, 8 << 20)  # address space to give back when the program has used up its own
        self.dumps, self.write, self.getpid, self.exit = json.dumps, os.write, os.getpid, os._exit

    def forked(self) -> bool:
        """Whether this is a fork the program made: only the program itself is judged."""
        return self.getpid() != self.pid

    def send(self, **message: Any) -> None:
        if self.forked():
            return
        line = memoryview(self.dumps(message).encode() + b"\n")
        try:
            while line:
                line = line[self.write(REPORT_FD, line) :]
        except OSError:  # the program closed the pipe
            self.exit(1)

    def exception(self, error: BaseException) -> None:
        if isinstance(error, MemoryError) and not self.spare.closed:
            self.spare.close()
        name = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
        self.send(error="exception", name=name)


def run(request: dict, fds: list[int], parent: int) -> NoReturn:
    """Run the program of a request on `fds`: its input, its output and the report pipe (see `execution`).

    Does not return. What it raises, the judge failed at before the program ran.
    """
    _confine(request, parent)
    source, main = _fresh_main(request)
    _connect(fds, calls=request["function"] is not None)
    report = Report()
    threading.excepthook = lambda args: args.exc_type is SystemExit or report.exception(args.exc_value)
    try:
        code = compile(source, main.__file__, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        report.send(error="syntax error")
        report.exit(1)
    gc.enable()
    sys.setrecursionlimit(1000 + _depth() + EXEC_DEPTH)
    try:
        if request["function"] is None:
            _finish(_execute(code, main, report), report.exit)
        _serve_calls(code, main, request["function"], report)
    finally:  # whatever the program did to its interpreter: this is its end, not a failure of the judge
        report.exit(1)


def _connect(fds: list[int], calls: bool) -> None:
    """Standard input and output, and of the judge's only the report pipe (and the pipe of calls)."""
    null = os.open(os.devnull, os.O_RDWR)
    fcntl.fcntl(fds[2], fcntl.F_DUPFD_CLOEXEC, REPORT_FD)
    if calls:
        fcntl.fcntl(fds[0], fcntl.F_DUPFD_CLOEXEC, CALLS_FD)
    os.dup2(null if calls else fds[0], 0)
    os.dup2(null if calls else fds[1], 1)
    os.dup2(null, 2)
    os.closerange(3, REPORT_FD)
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        binary = os.fdopen(fd, f"{mode}b", closefd=False)
        errors = "backslashreplace" if name == "stderr" else "surrogateescape"
        text = io.TextIOWrapper(binary, "utf-8", errors, newline="\n", line_buffering=name == "stderr")
        text.mode = mode
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def _confine(request: dict, parent: int) -> None:
    """Limits, a session of its own, an empty folder to work in, and death when the warm process dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError("the warm process died")
    os.setsid()
    os.chdir(request["folder"])
    os.environ.update(HOME=request["folder"], TMPDIR=request["folder"], PWD=request["folder"])
    with suppress(OSError):  # should the machine run out of memory, let it take this process
        Path("/proc/self/oom_score_adj").write_text("1000")
    for what, limit in (
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_CPU, request["cpu_seconds"]),  # should the warm process not get to look
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _fresh_main(request: dict) -> tuple[str, types.ModuleType]:
    """The program's text and the module it is run in.

    Programs for standard input are the main program. Those with a function to call are imported, as TACO
    does, so what stands under `if __name__ == "__main__"` is not run.
    """
    path = Path(request["folder"], "program.py")
    source = path.read_bytes().decode("utf-8", "surrogatepass").removeprefix("\ufeff")
    name = "__main__" if request["function"] is None else "program"
    main = types.ModuleType(name)
    main.__file__, main.__builtins__ = str(path), sys.modules["builtins"]
    sys.modules["__main__"] = sys.modules[name] = main
    sys.argv, sys.path = [main.__file__], [request["folder"], *sys.path]
    atexit._clear()
    numpy.random.seed()  # `random` seeds itself anew after a fork, numpy does not
    return source, main


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:
        depth += 1
    return depth


def _execute(code: types.CodeType, main: types.ModuleType, report: Report) -> int:
    """Run the program; its exit status by Python's rules."""
    try:
        exec(code, main.__dict__)
    except SystemExit as exit:
        if exit.code is None or isinstance(exit.code, int):
            return (exit.code or 0) & 0xFF
        return 1
    except BaseException as error:
        report.exception(error)
        return 1
    return 0


def _finish(status: int, exit: Callable[[int], NoReturn]) -> NoReturn:
    """End as an interpreter does (threads, exit handlers, open files), without 20 ms of taking it down."""
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
            sys.stdout.flush()
    except BaseException:
        status = status or 120  # as Python's, when the last flush fails
    try:
        _flush_open_files()
    finally:
        exit(status)


def _flush_open_files() -> None:
    """Flush files left open, such as `open(1, "w")`, as an interpreter's end does: text before binary."""
    text_base, file_base = io.TextIOWrapper.__mro__[
        1:3
    ]  # of the C classes `io.TextIOBase` has none as subclass
    text, every = _subclasses(text_base), _subclasses(file_base)
    files = [item for item in gc.get_objects() if type(item) in every]
    for file in sorted(files, key=lambda file: type(file) not in text):
        try:
            file.flush()
        except Exception:  # whatever a program's own file class raises, an interpreter ignores it here too
            continue


def _subclasses(base: type) -> set[type]:
    found = {base}
    for subclass in base.__subclasses__():
        found |= _subclasses(subclass)
    return found


def _serve_calls(code: types.CodeType, main: types.ModuleType, name: str, report: Report) -> NoReturn:
    """Load the program, then call its function with each line of arguments and report what it returns.

    What it prints goes nowhere, and its standard input is empty.
    """
    calls, loads, exit = os.fdopen(CALLS_FD, "rb"), json.loads, report.exit
    try:
        exec(code, main.__dict__)
        function = _find_function(main, name)
        if function is None:
            report.send(error="missing function")
            exit(1)
        for line in calls:
            value = function(*[_with_integer_keys(argument) for argument in loads(line)])
            if report.forked():
                break
            report.send(value=tag(value))
    except BaseException as error:
        report.exception(error)
        exit(1)
    exit(0)


def _find_function(main: types.ModuleType, name: str) -> Callable | None:
    """The method of that name of an instance of the program's `Solution`, or else its bare function."""
    solution = main.__dict__.get("Solution")
    if isinstance(solution, type) and callable(getattr(solution, name, None)):
        return getattr(solution(), name)
    function = main.__dict__.get(name)
    return function if callable(function) else None


def _with_integer_keys(argument: Any) -> Any:
    """A dictionary with integers as keys if all of them are, which JSON made strings (TACO's rule)."""
    if not isinstance(argument, dict):
        return argument
    try:
        return {int(key): value for key, value in argument.items()}
    except ValueError:
        return argument


def tag(value: Any) -> Any:
    """A returned value as JSON with its types kept (see `comparison`).

    Of a subclass (Counter, namedtuple, IntEnum) the built-in type's own content is taken, whatever the class
    says of itself; numpy's scalars are the Python numbers they stand for. Any other object, sets and arrays
    among them, is only named: no JSON value equals it.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if issubclass(kind, numpy.generic):
        value = numpy.generic.item(value)
        return value if type(value) in (bool, int, float, str) else ["object", kind.__name__]
    for scalar, convert in ((int, int.__int__), (float, float.__float__), (str, str.__str__)):
        if issubclass(kind, scalar):
            return convert(value)
    if issubclass(kind, dict):
        return ["dict", [[tag(key), tag(item)] for key, item in dict.items(value)]]
    for sequence in (list, tuple):
        if issubclass(kind, sequence):
            return [sequence.__name__, [tag(item) for item in sequence.__iter__(value)]]
    return ["object", kind.__name__]
