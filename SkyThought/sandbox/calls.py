"""In a child: loads a program and calls its function with each test's arguments.

JSON turns every key of a dictionary into text, so {"1": 2} may stand for {1: 2}. The judge asks for one reading of all
arguments, and for another one in a new child if the program fails:

    NATIVE    as in Python before JSON wrote them: integers, floats, True, False and None, at any depth
    TEXT      as they are
    TACO      TACO's own rule: at the top level, integers if all keys of a dictionary are integers as text
    PAPER     the same, with two rules of the paper's checker: one instance for all calls, and no end by `sys.exit(0)`

Two more readings are for EvalPlus's arguments, which JSON cannot write: they come by `marshal`, the function is the
global with that name, and values are reported with their types (see `exact_values`).

    EXACT     as they are
    SET       the same for functions whose values are compared as sets: an iterator is reported as its items
    REPLAY    the same for functions whose values are given to a test program: an iterator stays one

A test program is run in place of calls, after the program and with its names. It comes after a line with a word, see
`serve_test_program`.
"""

import builtins
import json
import marshal
import os
import sys
from builtins import BaseException, SystemExit, callable, enumerate, getattr, isinstance, type  # noqa: UP029  # see `interpreter`
from collections.abc import Callable
from contextlib import suppress
from time import process_time
from types import CodeType, ModuleType
from typing import Any, NoReturn

from SkyThought.sandbox.exact_values import tag_exactly, tag_with_iterators
from SkyThought.sandbox.report import Report, tag

NATIVE, TEXT, TACO, PAPER, EXACT, SET, REPLAY, TEST_PROGRAM = b"n", b"t", b"i", b"p", b"e", b"s", b"r", b"x"
MARSHALLED = (EXACT, SET, REPLAY)
_HONEST = (int, float, str, bool, type(None), list, tuple, dict, set)
_UNLIKELY = (-987654321, 0.123456789, "\0", b"\0", ["\0"], ("\0",), {"\0": 0}, {"\0"})  # values of a right function


def serve_calls(
    code: CodeType, names: dict[str, Any], function_name: str, calls: int, reading: bytes, report: Report
) -> NoReturn:
    """Run the program in `names`, call its function with each list of arguments, report the values, and end.

    calls: a file with the lists of arguments, as JSON; reading: of the keys of dictionaries. Module state stays from
    call to call; each call of a method has a new instance.
    """
    exit = report.exit
    write = {EXACT: tag_exactly, SET: _tag_of_set, REPLAY: tag_with_iterators}.get(reading, tag)
    find = _find_global if reading in MARSHALLED else _find_function
    strict = reading in (PAPER, *MARSHALLED)
    try:
        arguments_of_calls = _read_arguments(calls, reading)
        try:
            exec(code, names)
        except SystemExit as ended:  # at a program's end, after it defined the function
            if ended.code not in (None, 0) or strict or find(names, function_name) is None:
                raise
        find_function = find(names, function_name)
        if find_function is None:
            report.send(error="missing function")
            exit(1)
        function = find_function()
        if not arguments_of_calls:  # the program only has to load
            report.send(value=None)
        reported = 0.0  # this process's clock started with it, so its start counts to the first call
        for number, arguments in enumerate(arguments_of_calls):
            function = find_function() if number and not strict else function
            value = function(*arguments)
            if report.forked():
                break
            value, before, reported = write(value), reported, process_time()
            report.send(value=value, cpu=round(reported - before, 6))
    except BaseException as error:
        report.exception(error)
        exit(1)
    exit(0)


def serve_test_program(
    code: CodeType, names: dict[str, Any], function_name: str, test: int, report: Report
) -> NoReturn:
    """Run the program in `names`, then the test program with its names, report that it ran to its end, and end.

    test: a file with a word, which only a test that came to its end reports, and the test program. What the program
    replaced in builtins, and in modules that the test names, is restored first. Where it has a name of its own for a
    builtin, the test has the builtin one, except for the function. No value of the function may equal everything.
    """
    exit = report.exit
    try:
        with os.fdopen(test, "rb") as content:
            word, _, source = content.read().partition(b"\n")
        modules = _modules_before(source)
        exec(code, names)
        for module, before in modules:
            module.__dict__.update(before)
        own = {name: value for name, value in names.items() if name == function_name or name not in modules[0][1]}
        false: list[bool] = []
        if callable(function := own.get(function_name)) and not isinstance(function, type):
            own[function_name] = _Watched(function, false)
        exec(compile(source, "<test>", "exec", dont_inherit=True), {**own, "__name__": names["__name__"]})
        if false:
            raise AssertionError("a value equals everything")
        report.send(value=word.decode())
    except BaseException as error:
        report.exception(error)
        exit(1)
    exit(0)


def _modules_before(test: bytes) -> list[tuple[ModuleType, dict[str, Any]]]:
    """`builtins` and the modules whose name occurs in the test, each with what it holds."""
    named = [each for name, each in sys.modules.items() if name.rpartition(".")[2].encode() in test]
    return [(each, dict(each.__dict__)) for each in (builtins, *named) if type(each) is ModuleType]


class _Watched:
    """A function, which appends to `false` if it returns, directly or in a list, what equals everything."""

    def __init__(self, function: Callable, false: list[bool]):
        self.__wrapped__, self._false = function, false

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        value = self.__wrapped__(*arguments, **keywords)
        items = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
        others = (each for each in (value, *items) if type(each) not in _HONEST)
        if any(_equals(each, other) for each in others for other in _UNLIKELY):
            self._false.append(True)
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)


def _equals(value: Any, other: Any) -> bool:
    with suppress(Exception):
        return (value == other) is True or (value != other) is False
    return False


def _find_function(names: dict[str, Any], name: str) -> Callable[[], Callable] | None:
    """A function that returns this method of a new instance of the program's `Solution`, or else its bare function."""
    solution = names.get("Solution")
    if isinstance(solution, type) and callable(getattr(solution, name, None)):
        return lambda: getattr(solution(), name)
    return _find_global(names, name)


def _find_global(names: dict[str, Any], name: str) -> Callable[[], Callable] | None:
    function = names.get(name)
    return (lambda: function) if callable(function) else None


def _tag_of_set(value: Any) -> Any:
    """The value in tagged form if it can be tagged, else the set of what it yields, for example of a generator."""
    return tag_exactly(value if isinstance(value, list | tuple | set | frozenset | dict | str) else {*value})


def _read_arguments(file: int, reading: bytes) -> list[list]:
    with os.fdopen(file, "rb") as content:
        data = content.read()
    if reading in MARSHALLED:
        return marshal.loads(data)
    arguments_of_calls = json.loads(data)
    if reading == NATIVE:
        return native_keys(arguments_of_calls)
    if reading in (TACO, PAPER):
        return [integer_keys(arguments) for arguments in arguments_of_calls]
    return arguments_of_calls


def native_keys(value: Any) -> Any:
    """A value whose dictionary keys are numbers, bools or None again where JSON may have turned them into text."""
    if isinstance(value, list):
        return [native_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    native = {native_key(key): native_keys(item) for key, item in value.items()}
    return native if len(native) == len(value) else {key: native_keys(item) for key, item in value.items()}


def native_key(key: str) -> int | float | bool | str | None:
    """The number, bool or None that JSON writes as this key; the key itself if there is none."""
    with suppress(ValueError):
        value = json.loads(key)
        if not isinstance(value, str | list | dict) and json.dumps(value) == key:
            return value
    return key


def integer_keys(arguments: list) -> list:
    """One call's arguments, each dictionary with integer keys if all of its keys are integers as text."""
    return [_with_integer_keys(argument) if isinstance(argument, dict) else argument for argument in arguments]


def _with_integer_keys(dictionary: dict[str, Any]) -> dict:
    try:
        return {int(key): value for key, value in dictionary.items()}
    except ValueError:
        return dictionary
