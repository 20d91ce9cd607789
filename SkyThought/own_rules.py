"""Judging by this repository's own rules: runs a program on its problem's tests and compares, up to the first failure.

`comparison` defines when an output or a value is right, `execution` how a program may end.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any, NotRequired, TypedDict

from hindsight.files.verdicts import NOT_JUDGED, WRONG_ANSWER
from SkyThought.comparison import format_value, same_text, same_value, untag
from SkyThought.execution.program import Execution, Program
from SkyThought.problem_tests import ProblemTests
from SkyThought.time_limit import TimeLimit

MESSAGE_CHARACTERS = 200  # of an exception, in a reason
EXCERPT_CHARACTERS = 1000  # of the input, the expected output and the output of the test that failed

Check = Callable[[Any, Any, Any], bool]  # a special judge: input, expected, output


class TestResult(TypedDict):
    """The result of one test, as step 3 writes it into an answer's file."""

    index: int
    passed: bool
    reason: str  # "" when the program ended well and its output is right
    seconds: float  # CPU time
    input: NotRequired[str]  # of the test that failed, cut short, as the next two
    expected: NotRequired[str]
    output: NotRequired[str]
    group: NotRequired[str]  # of EvalPlus's tests: base or plus
    share: NotRequired[float]  # the share of its time limit that it took, if tests have separate limits
    special_judge: NotRequired[str]  # how the special judge failed
    node: NotRequired[str]  # how the Ray node failed


def judge_tests(program: Program, tests: ProblemTests, limit: TimeLimit, check: Check | None) -> Iterator[TestResult]:
    """The result of each test, up to the first that fails."""
    return (_judge_runs if tests.function is None else _judge_function)(program, tests, limit, check)


def make_result(index: int, reason: str, seconds: float) -> TestResult:
    """The result of a test: passed when `reason` is empty."""
    return {"index": index, "passed": not reason, "reason": reason, "seconds": round(seconds, 4)}


def _judge_runs(program: Program, tests: ProblemTests, limit: TimeLimit, check: Check | None) -> Iterator[TestResult]:
    for index, (stdin, expected) in enumerate(zip(tests.inputs, tests.outputs, strict=True)):
        execution = limit.enforce(partial(program.run, stdin), _ending)
        reason, failure = execution.reason, None
        if not reason and check is not None:
            reason, failure = _ask(check, _text(stdin), _text(expected), partial(_text, execution.output))
        elif not reason and not _same_output(tests, expected, execution.output):
            reason = WRONG_ANSWER
        if reason == WRONG_ANSWER:
            reason = execution.thread_reason or reason
        result = make_result(index, reason, execution.seconds)
        if failure is not None:
            result["special_judge"] = failure
        if reason:
            add_excerpts(
                result, *[_text(part[: 4 * EXCERPT_CHARACTERS]) for part in (stdin, expected, execution.output)]
            )
        yield result
        if reason:
            return


def _ending(execution: Execution) -> tuple[str, float]:
    return execution.reason, execution.seconds


def _same_output(tests: ProblemTests, expected: bytes, output: bytes) -> bool:
    if tests.any_case:
        expected, output = expected.lower(), output.lower()
    return same_text(expected, output, tests.real)


def _judge_function(
    program: Program, tests: ProblemTests, limit: TimeLimit, check: Check | None
) -> Iterator[TestResult]:
    """The results by the first reading of dictionary keys with which it passes.

    If it passes with none, the results of the reading that gets furthest, or else gives an answer.
    """
    found = []
    for keys in tests.key_readings:
        found.append(limit.enforce(partial(_judge_calls, program, tests, check, keys), _ending_of_calls))
        if not (reason := found[-1][-1]["reason"]) or reason.startswith(NOT_JUDGED):
            return iter(found[-1])
    return iter(max(found, key=lambda results: (len(results), results[-1]["reason"] == WRONG_ANSWER)))


def _ending_of_calls(results: list[TestResult]) -> tuple[str, float]:
    return results[-1]["reason"], max(each["seconds"] for each in results)


def _judge_calls(
    program: Program, tests: ProblemTests, check: Check | None, keys: bytes, limit: float
) -> list[TestResult]:
    """If expected values may be wrapped, a function must pass all tests with wrapped or all with unwrapped ones."""
    results = []
    readings = [False, True] if tests.wrapped else [False]
    arguments, limits = json.dumps(tests.inputs).encode(), [limit] * len(tests.inputs)
    with closing(program.calls(tests.function or "", arguments, limits, keys)) as calls:
        for index, call in enumerate(calls):
            given, expected = tests.inputs[index], tests.outputs[index]
            reason, failure = call.reason, None
            if not reason and check is not None:
                reason, failure = _ask(check, given, expected, partial(untag, call.value))
            elif not reason:
                readings = [unwrap for unwrap in readings if _equal(expected, call.value, unwrap)]
                reason = "" if readings else WRONG_ANSWER
            results.append(result := make_result(index, reason, call.seconds))
            if failure is not None:
                result["special_judge"] = failure
            if reason:
                output = "" if call.reason else format_value(call.value)
                add_excerpts(result, repr(given), repr(expected), output)
                break
    return results


def _ask(check: Check, test_input: Any, expected: Any, read_output: Callable[[], Any]) -> tuple[str, str | None]:
    """The reason from a special judge, and how the judge failed if it did: its failure is not the program's."""
    try:
        accepted = check(test_input, expected, read_output())
        if isinstance(accepted, bool):
            return ("" if accepted else WRONG_ANSWER), None
        failure = f"check returned {accepted!r}, not True or False"
    except (Exception, SystemExit) as error:  # the user's code: if it raises anything, the program is not judged
        failure = f"{type(error).__name__}: {error}"
    return f"{NOT_JUDGED}: its special judge failed ({one_line(failure)})", failure


def one_line(message: str) -> str:
    """A message as part of a reason: its first line, cut short."""
    return (message.strip().splitlines() or [""])[0][:MESSAGE_CHARACTERS]


def _equal(expected: Any, tagged: Any, unwrap: bool) -> bool:
    try:
        return same_value(expected[0] if unwrap else expected, tagged)
    except (ValueError, TypeError):  # not in tagged form: the program wrote into the judge's pipe
        return False


def add_excerpts(result: TestResult, test_input: str, expected: str, output: str) -> None:
    """Add the texts of a failed test, cut short."""
    result["input"] = test_input[:EXCERPT_CHARACTERS]
    result["expected"] = expected[:EXCERPT_CHARACTERS]
    result["output"] = output[:EXCERPT_CHARACTERS]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
