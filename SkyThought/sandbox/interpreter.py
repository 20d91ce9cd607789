"""Runs a program in a child of the warm process as a fresh interpreter would, and ends. Knows no expected output.

A program may replace every builtin and every function of a module. What is needed after it has run is therefore
imported by name.
"""

import atexit
import gc
import io
import os
import signal
import sys
import types
from atexit import _run_exitfuncs as run_exit_functions
from builtins import BaseException, Exception, getattr, isinstance, sorted  # noqa: UP029
from os import closerange, dup2, getpid
from sys import setprofile as set_profile
from sys import settrace as set_trace
from typing import Any, NoReturn

from SkyThought.sandbox import prelude
from SkyThought.sandbox.calls import TEST_PROGRAM, serve_calls, serve_test_program
from SkyThought.sandbox.kernel import NULL, flush_c_streams
from SkyThought.sandbox.layers import Sandbox
from SkyThought.sandbox.messages import memory_file
from SkyThought.sandbox.program_folder import ProgramFolder
from SkyThought.sandbox.report import REPORT_FD, Report

CALLS_FD = 101
_TEXT, _FILE = io.TextIOWrapper.__mro__[1:3]  # of the C classes, because they are no subclasses of `io.TextIOBase`
RECURSION_LIMIT = 1000  # a fresh interpreter's


class Interpreter:
    """What a fresh interpreter has, made once in the warm process; each child runs one program in its copy of it.

    Programs for standard input are the main program. Those with a function are imported, as TACO does, so the block
    under `if __name__ == "__main__"` does not run. As much as possible happens before the fork, because each page that
    a child is the first to touch costs it two microseconds.
    """

    def __init__(self, sandbox: Sandbox, program: ProgramFolder):
        self.sandbox, self.program = sandbox, program
        self.main = main = types.ModuleType("__main__")
        names = {"__file__": program.path, "__cached__": None, "__annotations__": {}}
        main.__dict__.update(names, __builtins__=sys.modules["builtins"])
        sys.modules["__main__"] = main
        sys.argv, sys.path = [program.path], [str(sandbox.folder), *sys.path]
        self.stdout = _make_streams()
        self.opens_files = self.finalizes = False  # by words in the program's text, since checking costs time
        self.report = report = Report()
        self.numpy = sys.modules.get("numpy")
        self.threading: Any = sys.modules.get("threading")
        if self.threading is not None:
            self.threading.excepthook = report.thread_died
        atexit._clear()

    def rehearse(self, times: int) -> None:
        """Do what a child does, without effect: the memory that Python writes to on the way is then shared."""
        self.program.take(memory_file(prelude.REHEARSAL.encode()))
        code = self._compile(prelude.REHEARSAL)
        streams = sys.stdin, self.stdout
        self.sandbox.rehearse(times)
        for _ in range(times):
            self.program.read_text()
            code = self.program.load_code() or code
            sys.stdin = io.TextIOWrapper(io.BytesIO(prelude.REHEARSAL_INPUT), "utf-8")
            sys.stdout = self.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
            _execute(code, {"__name__": "__main__", "__builtins__": sys.modules["builtins"]}, self.report)
            self._finish(0)
        sys.stdin, sys.stdout = streams
        self.stdout = streams[1]

    def run(self, stdin: int, stdout: int) -> NoReturn:
        """In a child: run the program on these descriptors, and end."""
        dup2(stdin, 0)
        dup2(stdout, 1)
        code, report = self._enter(), self.report
        try:
            status = _execute(code, self.main.__dict__, report)
            with _IgnoreErrors():
                threading = self.threading or sys.modules.get("threading")
                if isinstance(threading, types.ModuleType):  # wait for the threads that are no daemons
                    threading._shutdown()  # type: ignore[reportAttributeAccessIssue]  # as an interpreter calls it
            status = self._finish(status)
            if status == 0 and report.dead_thread:
                report.send(thread=report.dead_thread)
            report.exit(status)
        finally:  # anything the program did to its interpreter is its own failure, not the judge's
            report.exit(1)

    def serve_calls(self, calls: int, keys: bytes, function: str) -> NoReturn:
        """In a child: load the program, call its function of this name with each list of arguments, and end.

        calls: a file with the lists of arguments, or with a test program to run instead; keys: which, see `calls`. The
        program's output is discarded, and its standard input is empty.
        """
        dup2(calls, CALLS_FD)
        code, report, main = self._enter(), self.report, self.main
        try:
            main.__name__ = "program"
            sys.modules["program"] = main
            if keys == TEST_PROGRAM:
                serve_test_program(code, main.__dict__, function, CALLS_FD, report)
            serve_calls(code, main.__dict__, function, CALLS_FD, keys, report)
        finally:
            report.exit(1)

    def _enter(self) -> types.CodeType:
        """Contain this process, leave it only what a fresh interpreter has, and give it the program."""
        try:
            pid = self.report.pid = getpid()
            self.sandbox.contain_program(pid)
            text = self.program.read_text()
            self.opens_files = "open" in text or "IO" in text or "Buffered" in text
            self.finalizes = "__del__" in text or ("yield" in text and "finally" in text)
            code = self.program.load_code() or self._compile(text.removeprefix("\ufeff"))
            closerange(3, REPORT_FD)
            if self.numpy is not None:
                self.numpy.random.seed()  # after a fork `random` seeds itself again, numpy does not
            return code
        except BaseException:
            os.kill(os.getpid(), signal.SIGKILL)
            raise  # never reached

    def _compile(self, source: str) -> types.CodeType:
        """Compile the program and keep the code for later children. If that fails, report it and end."""
        try:
            code = compile(source, self.program.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
            self.report.send(error="syntax error")
            self.report.exit(1)
        self.program.keep_code(code)
        return code

    def _finish(self, status: int) -> int:
        """End as an interpreter does (exit handlers, open files) without its 20 ms of teardown; the exit status.

        Only an error in the last flush changes the status.
        """
        with _IgnoreErrors():
            run_exit_functions()
        if self.finalizes:
            with _IgnoreErrors():
                self._delete_objects()
        stdout = getattr(sys, "stdout", None)
        try:
            if stdout is not None and not getattr(stdout, "closed", False):
                stdout.flush()
        except BaseException:
            status = status or 120  # as Python's, when the last flush fails
        if stdout is not self.stdout or self.opens_files:
            with _IgnoreErrors():
                self._flush_open_files()
        flush_c_streams(NULL)
        return status

    def _delete_objects(self) -> None:
        """Delete the program's objects, as at an interpreter's end: `__del__` or a pending `finally` may print."""
        gc.unfreeze()
        del sys.modules["__main__"], self.main
        gc.collect()

    def _flush_open_files(self) -> None:
        """Flush files left open, for example `open(1, "w")`, as at an interpreter's end: text before binary."""
        files = [item for item in gc.get_objects() if isinstance(item, _FILE)] if self.opens_files else []
        for file in sorted([self.stdout, *files], key=lambda file: not isinstance(file, _TEXT)):
            try:
                file.flush()
            except Exception:  # at its end an interpreter ignores any error of a program's own file class
                continue


class _IgnoreErrors:
    """As `suppress(BaseException)`, which needs builtins that the program may have removed."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> bool:
        return True


def _make_streams() -> io.TextIOWrapper:
    """Make fresh standard streams, for input on a file and for output on a pipe; returns the one for output."""
    null = [os.dup(fd) for fd in (0, 1)]
    file, (ours, pipe) = memory_file(), os.pipe()
    streams: dict[str, Any] = {}
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if fd < 2:
            os.dup2((file, pipe)[fd], fd)
        binary: Any = os.fdopen(fd, f"{mode}b", closefd=False)
        binary.raw.name = f"<{name}>"
        errors = "backslashreplace" if name == "stderr" else "surrogateescape"
        text: Any = io.TextIOWrapper(binary, "utf-8", errors, newline="\n", line_buffering=name == "stderr")
        text.mode = mode
        streams[name] = text
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    for fd in (0, 1):
        os.dup2(null[fd], fd)
    for fd in (*null, file, ours, pipe):
        os.close(fd)
    return streams["stdout"]


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
            for _ in "12":  # the program's tracer or profiler may fail here once, which removes it
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
