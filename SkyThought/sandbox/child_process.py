"""What a forked child of the warm process does: runs a program, as a fresh interpreter would, and ends.

It never sees an expected output. What it has to say beside the program's own output goes as lines of JSON
through the report pipe: {"error": "syntax error"}, {"error": "missing function"}, {"error": "exception",
"name": "ValueError"}, {"value": tagged} for each call (see `comparison`).
"""

import atexit
import gc
import io
import json
import os
import signal
import sys
import types
from atexit import _run_exitfuncs as run_exit_functions

# What is needed after the program has run is named here: it may have replaced every builtin.
from builtins import BaseException, Exception, bool, getattr, isinstance, issubclass, sorted, type  # noqa: UP029
from collections.abc import Callable
from marshal import dumps as dumps_code
from marshal import loads as loads_code
from os import closerange, dup2, getpid
from sys import setprofile as set_profile
from sys import settrace as set_trace
from typing import Any, NoReturn

from SkyThought.sandbox import prelude
from SkyThought.sandbox.layers import Sandbox, empty_folder
from SkyThought.sandbox.messages import memory_file, read_file

REPORT_FD = 100  # above the numbers a program's own files get
CALLS_FD = 101
_TEXT, _FILE = io.TextIOWrapper.__mro__[1:3]  # of the C classes: `io.TextIOBase` has none of them as subclass
RECURSION_LIMIT = 1000  # a fresh interpreter's


class Report:
    """The way back to the judge, made before the program runs: what the program replaces does not matter."""

    def __init__(self) -> None:
        self.pid = 0  # the child's, set in it
        self.failed = False
        # Untouched address space, to give back when the program has used up its own.
        self.spare: bytes | None = bytes(8 << 20)
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
        if isinstance(error, MemoryError):
            self.spare = None
        self.failed = True
        self.send(error="exception", name="MemoryError" if isinstance(error, MemoryError) else _name(type(error)))


class Interpreter:
    """What a fresh interpreter has, made once in the warm process; each child runs one program in its copy of it.

    Programs for standard input are the main program. Those with a function to call are imported, as TACO
    does, so what stands under `if __name__ == "__main__"` is not run. All that can be done before the fork is done
    here, since every page that a child is the first to touch costs it two microseconds.
    """

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        self.source = ""  # of the program, known to its children alone
        self.source_file: int | None = None
        self.code_file: int | None = None  # as `marshal` writes it
        self.path = str(sandbox.folder / "program.py")
        self.main = main = types.ModuleType("__main__")
        main.__file__, main.__builtins__ = self.path, sys.modules["builtins"]
        sys.modules["__main__"] = main
        sys.argv, sys.path = [self.path], [str(sandbox.folder), *sys.path]
        self.stdout = _make_streams()
        self.opens_files = False
        self.report = report = Report()
        self.numpy = sys.modules.get("numpy")
        self.threading = sys.modules.get("threading")
        if self.threading is not None:
            self.threading.excepthook = lambda args: args.exc_type is SystemExit or report.exception(args.exc_value)
        atexit._clear()

    def rehearse(self, times: int) -> None:
        """Go the way of a child, without effect, so that Python has it warm: the memory it writes to is then shared."""
        self.take(memory_file(prelude.REHEARSAL.encode()))
        self.source = prelude.REHEARSAL
        self._compile()
        streams = sys.stdin, self.stdout
        self.sandbox.rehearse(times)
        for _ in range(times):
            code = read_file(self.source_file) and self._load_code()
            sys.stdin = io.TextIOWrapper(io.BytesIO(prelude.REHEARSAL_INPUT), "utf-8")
            sys.stdout = self.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
            _execute(code, {"__name__": "__main__", "__builtins__": sys.modules["builtins"]}, self.report)
            self._finish(0, bool)
        sys.stdin, sys.stdout = streams
        self.stdout = sys.stdout

    def take(self, source: int) -> None:
        """The next program: the file that holds its text. Its code comes into another file, when it is compiled."""
        for file in (self.source_file, self.code_file):
            if file is not None:
                os.close(file)
        self.source_file, self.code_file = source, memory_file()
        self.lay_out()

    def lay_out(self) -> None:
        """Write the program's text, and nothing else, into its folder."""
        empty_folder(self.sandbox.folder)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.sendfile(file, self.source_file, 0, os.fstat(self.source_file).st_size)  # not through this process's memory
        os.close(file)
        self._laid_out = os.stat(self.path).st_ctime_ns

    def is_laid_out(self) -> bool:
        """Whether the folder is as `lay_out` left it."""
        try:
            return os.listdir(".") == ["program.py"] and os.lstat(self.path).st_ctime_ns == self._laid_out
        except OSError:
            return False

    def run(self, stdin: int, stdout: int) -> NoReturn:
        """In a child: run the program on these descriptors, and end."""
        dup2(stdin, 0)
        dup2(stdout, 1)
        code, report = self._enter(), self.report
        try:
            self._finish(_execute(code, self.main.__dict__, report), report.exit)
        finally:  # whatever the program did to its interpreter: this is its end, not a failure of the judge
            report.exit(1)

    def serve_calls(self, calls: int, function: str) -> NoReturn:
        """In a child: load the program, call its function of this name with each list of arguments, and end.

        `calls` is a file that holds the lists, as JSON. What the program prints goes nowhere, and its standard input
        is empty.
        """
        dup2(calls, CALLS_FD)
        code, report, main = self._enter(), self.report, self.main
        try:
            main.__name__ = "program"
            sys.modules["program"] = main
            _serve_calls(code, main.__dict__, function, report)
        finally:
            report.exit(1)

    def _enter(self) -> types.CodeType:
        """Contain this process, leave it what a fresh interpreter has, and give it the program."""
        try:
            pid = self.report.pid = getpid()
            self.sandbox.contain_program(pid)
            text = read_file(self.source_file).decode("utf-8", "surrogatepass")
            self.source = text.removeprefix("\ufeff")
            self.opens_files = "open" in text or "IO" in text or "Buffered" in text
            code = self._load_code() or self._compile()
            closerange(3, REPORT_FD)
            if self.numpy is not None:
                self.numpy.random.seed()  # `random` seeds itself anew after a fork, numpy does not
            return code
        except BaseException:
            os.kill(os.getpid(), signal.SIGKILL)

    def _load_code(self) -> types.CodeType | None:
        """The code that an earlier child compiled, if one did so to the end."""
        data = read_file(self.code_file)
        try:
            return loads_code(data) if data else None
        except (EOFError, ValueError, TypeError):
            return None

    def _compile(self) -> types.CodeType:
        """Compile the program, and keep the code for later children. Where that fails, report it and end."""
        try:
            code = compile(self.source, self.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
            self.report.send(error="syntax error")
            self.report.exit(1)
        os.pwrite(self.code_file, dumps_code(code), 0)
        return code

    def _finish(self, status: int, exit: Callable[[int], NoReturn]) -> NoReturn:
        """End as an interpreter does (threads, exit handlers, open files), without 20 ms of taking it down."""
        with _Ignored():
            if exit is not bool:
                _shut_down(self.threading or sys.modules.get("threading"))
        with _Ignored():
            run_exit_functions()
        try:
            if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
                sys.stdout.flush()
        except BaseException:
            status = status or 120  # as Python's, when the last flush fails
        try:
            if sys.stdout is not self.stdout or self.opens_files:
                self._flush_open_files()
        finally:
            exit(1 if self.report.failed else status)

    def _flush_open_files(self) -> None:
        """Flush files left open, such as `open(1, "w")`, as an interpreter's end does: text before binary."""
        files = [item for item in gc.get_objects() if isinstance(item, _FILE)] if self.opens_files else []
        for file in sorted([self.stdout, *files], key=lambda file: not isinstance(file, _TEXT)):
            try:
                file.flush()
            except Exception:  # whatever a program's own file class raises, an interpreter ignores it here too
                continue


class _Ignored:
    """What fails at an interpreter's end is told and does not count."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> bool:
        return True


def _shut_down(threading: types.ModuleType | None) -> None:
    """Wait for the threads that are no daemons."""
    if isinstance(threading, types.ModuleType):
        threading._shutdown()


def _make_streams() -> io.TextIOWrapper:
    """Standard streams, nothing read or written yet, made on pipes, so they are never sought in; the one for output."""
    null = [os.dup(fd) for fd in (0, 1)]
    pipe = os.pipe()
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if fd < 2:
            os.dup2(pipe[fd], fd)
        binary = os.fdopen(fd, f"{mode}b", closefd=False)
        errors = "backslashreplace" if name == "stderr" else "surrogateescape"
        text = io.TextIOWrapper(binary, "utf-8", errors, newline="\n", line_buffering=name == "stderr")
        text.mode = mode
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    for fd in (0, 1):
        os.dup2(null[fd], fd)
    for fd in (*null, *pipe):
        os.close(fd)
    return sys.stdout


def depth() -> int:
    """The number of calls above the caller's."""
    frame, count = sys._getframe(), 0
    while frame := frame.f_back:
        count += 1
    return count


def _execute(code: types.CodeType, names: dict[str, Any], report: Report) -> int:
    """Run the program; its exit status by Python's rules."""
    try:
        try:
            exec(code, names)
        finally:
            for _ in "12":  # a tracer or profiler of the program's that fails here is gone then
                try:
                    set_profile(None)
                    set_trace(None)
                except BaseException:
                    continue
    except SystemExit as exit:
        if exit.code is None or isinstance(exit.code, int):
            return (exit.code or 0) & 0xFF
        return 1
    except BaseException as error:
        report.exception(error)
        return 1
    return 0


def _serve_calls(code: types.CodeType, names: dict[str, Any], name: str, report: Report) -> NoReturn:
    loads, exit = json.loads, report.exit
    try:
        with os.fdopen(CALLS_FD, "rb") as file:
            calls = loads(file.read())
        exec(code, names)
        function = _find_function(names, name)
        if function is None:
            report.send(error="missing function")
            exit(1)
        for arguments in calls:
            value = function(*[_with_integer_keys(argument) for argument in arguments])
            if report.forked():
                break
            report.send(value=tag(value))
    except BaseException as error:
        report.exception(error)
        exit(1)
    exit(0)


def _find_function(names: dict[str, Any], name: str) -> Callable | None:
    """The method of that name of an instance of the program's `Solution`, or else its bare function."""
    solution = names.get("Solution")
    if isinstance(solution, type) and callable(getattr(solution, name, None)):
        return getattr(solution(), name)
    function = names.get(name)
    return function if callable(function) else None


def _with_integer_keys(argument: Any) -> Any:
    """A dictionary with integers as keys if all of them are, which JSON made strings (TACO's rule)."""
    if not isinstance(argument, dict):
        return argument
    try:
        return {int(key): value for key, value in argument.items()}
    except ValueError:
        return argument


_name = type.__dict__["__name__"].__get__  # of a class, whatever its metaclass says
_SCALARS = (bool, int, float, str)


def tag(value: Any) -> Any:
    """A returned value as JSON with its types kept (see `comparison`).

    Of a subclass (Counter, namedtuple, IntEnum) the built-in type's own content is taken, whatever the class
    says of itself; numpy's scalars are the Python numbers they stand for. Any other object, sets and arrays
    among them, is only named: no JSON value equals it.
    """
    kind = type(value)
    if value is None or kind is int or kind is str or kind is float or kind is bool:
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        value = numpy.generic.item(value)
        return value if type(value) in _SCALARS else ["object", _name(kind)]
    for scalar, convert in ((int, int.__int__), (float, float.__float__), (str, str.__str__)):
        if issubclass(kind, scalar):
            return convert(value)
    if issubclass(kind, dict):
        return ["dict", [[tag(key), tag(item)] for key, item in dict.items(value)]]
    for sequence in (list, tuple):
        if issubclass(kind, sequence):
            return [sequence.__name__, [tag(item) for item in sequence.__iter__(value)]]
    return ["object", _name(kind)]
