"""Judges problems whose tests are a program, as the Hub's MBPP+ and HumanEval have them.

    inputs = [[2], [-3]]; results = [4, 9]
    for inp, exp in zip(inputs, results):
        assert square(*inp) == exp

An answer that runs in one process with its test could read what the test expects, replace its comparison, or return
what equals everything. The test is therefore replayed in a child without the answer, where the function gives back what
the answer returned in a child of its own. Which calls a test makes is seen by running it on the problem's own solution.

A test is not replayed if it gives the function other things than JSON and `marshal` can write, expects exceptions or
changed arguments, or if its problem has no solution, nor on an answer whose values lead it to other calls than the
solution's: `decode(encode(text)) == text`. It then runs after the answer, with the answer's names. What the answer
replaced in modules is restored before, and a value that equals everything does not pass.

A test judges nothing if it does not compile, cannot import what it needs, ends by `sys.exit`, or passes with any
function, for example because it defines `check` or a unittest class and does not call it.
"""

import json
import marshal
import secrets
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from hindsight.files.verdicts import NOT_JUDGED, RUNTIME_ERROR, TIME_LIMIT, WRONG_ANSWER
from SkyThought.execution.program import Call, Program
from SkyThought.execution.reasons import BAD_RESULT
from SkyThought.execution.warm_process_handle import WarmProcess
from SkyThought.own_rules import TestResult, make_result
from SkyThought.problem_tests import ProblemTests
from SkyThought.sandbox.calls import EXACT, REPLAY, TEST_PROGRAM
from SkyThought.sandbox.exact_values import untag_exactly
from SkyThought.time_limit import TimeLimit

TIMES_OF_A_TEST = 10  # the time limit of a test program, which has many tests in it
ASSERTION = f"{RUNTIME_ERROR}: AssertionError"
OTHER_CALL = f"{RUNTIME_ERROR}: OtherCall"  # of the harness
TESTS_FAULT = f"{NOT_JUDGED}: its problem's tests"
EXIT = f"{RUNTIME_ERROR}: SystemExit"
EXITS = ("exit", "quit", "main")  # words of a test that may end by `sys.exit`, as `unittest.main` does
# For numpy an empty list is close to any number, so `return []` would pass the Hub's tests of functions with floats.
_EMPTY_IS_CLOSE_TO_NOTHING_ELSE = """
import numpy
numpy.allclose = (lambda plain: lambda one, other, *more, **named: (
    (numpy.size(one) == 0) == (numpy.size(other) == 0) and plain(one, other, *more, **named)))(numpy.allclose)
"""
# Two wrong functions: one raises an exception, one returns a value that equals nothing. A test that accepts both checks
# nothing.
_WRONG_FUNCTIONS = (
    "def {name}(*arguments, **keywords): raise RuntimeError",
    "class Wrong:\n __eq__ = lambda self, other: False\ndef {name}(*arguments, **keywords): return Wrong()",
)
_FAULTS = {
    "": "pass with any function; a check function or a unittest class has to be called, and to raise what it finds",
    f"{RUNTIME_ERROR}: SyntaxError": "do not compile",
    f"{RUNTIME_ERROR}: ImportError": "cannot import what they need; they have the standard library and numpy",
    EXIT: "end by sys.exit instead of coming to their end",
}
_FAULTS[f"{RUNTIME_ERROR}: ModuleNotFoundError"] = _FAULTS[f"{RUNTIME_ERROR}: ImportError"]

# Loads the solution; `record` gives the arguments of each call that the test makes, `replay` runs the test on values.
_HARNESS = """
import json, marshal, random
from SkyThought.sandbox.exact_values import untag_exactly

NAME, SOLUTION, TEST = {parts!r}
names = {{"__name__": "program", "__builtins__": __builtins__}}

class OtherCall(Exception):
    pass

exec(compile(SOLUTION, "solution", "exec", dont_inherit=True), names)

def run(function):
    names[NAME] = function
    random.seed(0)
    exec(compile(TEST, "test", "exec", dont_inherit=True), names)

def record():
    calls, function = [], names[NAME]
    def recorder(*arguments):
        calls.append(marshal.dumps(list(arguments), {version}))
        names[NAME] = function  # which may call itself
        value = function(*arguments)
        names[NAME] = recorder
        return value
    run(recorder)
    return calls

def replay(calls, values):
    left = list(zip(calls, json.loads(values), strict=True))
    def player(*arguments):
        call, value = left.pop(0) if left else (b"", None)
        if call != marshal.dumps(list(arguments), {version}):
            raise OtherCall
        return untag_exactly(value)
    run(player)
    return not left
"""
_MARSHAL_VERSION = 2  # without references: equal arguments have the same bytes


@dataclass(frozen=True)
class Recording:
    """The calls of a test: `harness` is the program that replays it, `arguments` those of each call."""

    harness: str
    arguments: tuple[bytes, ...]

    @property
    def packed(self) -> bytes:
        """The lists of arguments by `marshal`."""
        return marshal.dumps([marshal.loads(each) for each in self.arguments])


def judge_test_program(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> TestResult:
    """The result of a program's test: passed if the test comes to its end. Raises MachineError."""
    limit = TimeLimit(TIMES_OF_A_TEST * limit.seconds, limit.lock)
    if "allclose" in tests.test_program and "__future__" not in tests.test_program:
        tests = replace(tests, test_program=_EMPTY_IS_CLOSE_TO_NOTHING_ELSE + tests.test_program)
    if fault := _fault_of_test(warm, tests.function, tests.solution, tests.test_program, limit):
        return make_result(0, f"{TESTS_FAULT} {fault}", 0.0)
    recording = _record(warm, tests.function, tests.solution, tests.test_program, limit)
    if recording is not None:
        result = limit.enforce(partial(_run_apart, warm, source, tests.function or "", recording), _ending)
        if result["reason"] != OTHER_CALL:
            return result
    return limit.enforce(partial(_run_together, warm, source, tests), _ending)


@lru_cache(maxsize=4)
def _fault_of_test(warm: WarmProcess, function: str | None, solution: str, test: str, limit: TimeLimit) -> str:
    """Why nothing can be judged by a test; "" if it is sound."""
    tests = ProblemTests(function, test_program=test)

    def reason(program: str) -> str:
        return _run_together(warm, program, tests, limit.seconds)["reason"]

    if solution and any(word in test for word in EXITS) and reason(solution) == EXIT:
        return _FAULTS[EXIT]
    first, second = (wrong.format(name=function or "_") for wrong in _WRONG_FUNCTIONS)
    found = reason(first)
    if found not in _FAULTS or (found == EXIT and solution) or reason(second) != found:
        return ""
    return _FAULTS[found]


def _ending(result: TestResult) -> tuple[str, float]:
    return result["reason"], result["seconds"]


def _result(reason: str, seconds: float) -> TestResult:
    return make_result(0, WRONG_ANSWER if reason == ASSERTION else reason, seconds)


def _run_together(warm: WarmProcess, source: str, tests: ProblemTests, seconds: float) -> TestResult:
    word = secrets.token_hex(8)
    test = f"{word}\n{tests.test_program}".encode("utf-8", "surrogatepass")
    (call,) = _calls(warm, source, tests.function or "", test, [seconds], TEST_PROGRAM)
    return _result(call.reason or ("" if call.value == word else BAD_RESULT), call.seconds)


def _run_apart(warm: WarmProcess, source: str, function: str, recording: Recording, seconds: float) -> TestResult:
    limits, values, used = [seconds] * len(recording.arguments), [], 0.0
    with closing(_calls(warm, source, function, recording.packed, limits, REPLAY)) as calls:
        for call in calls:
            used += call.seconds
            if call.reason or used > seconds:
                return _result(call.reason or TIME_LIMIT, used)
            values.append(call.value)
    return _result(_replay(warm, recording, values, seconds), used)


def _replay(warm: WarmProcess, recording: Recording, values: list[Any], seconds: float) -> str:
    """Why the test fails on these values; "" if it passes."""
    arguments = marshal.dumps([[list(recording.arguments), json.dumps(values)]])
    (call,) = _calls(warm, recording.harness, "replay", arguments, [seconds], EXACT)
    return call.reason or ("" if call.value is True else WRONG_ANSWER)


def _calls(
    warm: WarmProcess, source: str, function: str, arguments: bytes, limits: Sequence[float], reading: bytes
) -> Generator[Call, None, None]:
    with Program(warm, source) as program, closing(program.calls(function, arguments, limits, reading)) as calls:
        yield from calls


@lru_cache(maxsize=4)
def _record(warm: WarmProcess, function: str | None, solution: str, test: str, limit: TimeLimit) -> Recording | None:
    """The calls of a test; None if the solution does not pass when the test is replayed on what it returns."""
    if not function or not solution:
        return None
    harness = _HARNESS.format(parts=(function, solution, test), version=_MARSHAL_VERSION)
    (call,) = _calls(warm, harness, "record", marshal.dumps([[]]), [limit.seconds], EXACT)
    arguments = () if call.reason else tuple(untag_exactly(call.value))
    if not arguments:
        return None
    recording = Recording(harness, arguments)
    return None if _run_apart(warm, solution, function, recording, limit.seconds)["reason"] else recording
