"""In a child: loads a program and calls its function with each test's arguments."""

import json
import os
from builtins import BaseException, callable, isinstance, type  # noqa: UP029  # see `interpreter`
from collections.abc import Callable
from types import CodeType
from typing import Any, NoReturn

from SkyThought.sandbox.report import Report, tag


def serve_calls(code: CodeType, names: dict[str, Any], function_name: str, calls: int, report: Report) -> NoReturn:
    """Run the program in `names`, call its function with each list of arguments, report the values, and end.

    calls: a file with the lists of arguments, as JSON.
    """
    loads, exit = json.loads, report.exit
    try:
        with os.fdopen(calls, "rb") as file:
            arguments_of_calls = loads(file.read())
        exec(code, names)
        function = _find_function(names, function_name)
        if function is None:
            report.send(error="missing function")
            exit(1)
        for arguments in arguments_of_calls:
            value = function(*[_with_integer_keys(argument) for argument in arguments])
            if report.forked():
                break
            report.send(value=tag(value))
    except BaseException as error:
        report.exception(error)
        exit(1)
    exit(0)


def _find_function(names: dict[str, Any], name: str) -> Callable | None:
    """The method of this name of an instance of the program's `Solution`, or else its bare function."""
    solution = names.get("Solution")
    if isinstance(solution, type) and callable(getattr(solution, name, None)):
        return getattr(solution(), name)
    function = names.get(name)
    return function if callable(function) else None


def _with_integer_keys(argument: Any) -> Any:
    """A dictionary with integer keys if all of its keys are integers, which JSON turned into strings (TACO's rule)."""
    if not isinstance(argument, dict):
        return argument
    try:
        return {int(key): value for key, value in argument.items()}
    except ValueError:
        return argument
