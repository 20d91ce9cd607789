"""The verdict on an answer to a TACO problem: `TACOTaskHandler`, named as in SkyThought, which it replaces.

    with TACOTaskHandler() as judge:
        judge.update_results(problem, converted_text)["correctness"]  # True, False, or None: not judged

A program is correct when it passes every test of its problem; the tests stop at the first one that fails.
What it is to pass a test is in `comparison` (the output, the value) and `execution` (how the program ended).
Where this differs from SkyThought's handler that one was wrong: it counts programs that do not compile or run
out of time as correct.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from hindsight.formats import extract_code
from SkyThought.comparison import same_text, same_value, shown
from SkyThought.execution import WarmProcess
from SkyThought.running_program import (
    MEMORY_LIMIT,
    MISSING_FUNCTION,
    OUTPUT_LIMIT,
    RUNTIME_ERROR,
    SYNTAX_ERROR,
    TIME_LIMIT,
    MachineError,
)

NO_CODE = "no code"
WRONG_ANSWER = "wrong answer"
NOT_JUDGED = "not judged"
# Every reason there is. "runtime error" is a prefix: the exception, signal or exit status follows, as in
# "runtime error: ValueError", "runtime error: SIGSEGV", "runtime error: exit status 3".
REASONS = (
    NO_CODE,
    SYNTAX_ERROR,
    WRONG_ANSWER,
    RUNTIME_ERROR,
    MISSING_FUNCTION,
    TIME_LIMIT,
    MEMORY_LIMIT,
    OUTPUT_LIMIT,
    NOT_JUDGED,
)
SHOWN_CHARACTERS = 1000  # of the input, the expected output and the output of the test that failed
ATTEMPTS = 3  # times a test is run before the machine's failing makes it "not judged"


@dataclass(frozen=True)
class ProblemTests:
    """A problem's tests. Standard input: bytes. A function: lists of arguments, and JSON values."""

    function: str | None
    inputs: list
    outputs: list
    wrapped: bool  # every expected value is a list of one element, which may be TACO's wrapping of the value


class TACOTaskHandler:
    """Judges answers one at a time; several at a time take several handlers, each with a helper process.

    timeout: CPU seconds for each test (its wall time is limited to three times that); memory_mb: a program's
    address space in MiB. The helper process is started when it is first needed; `close` ends it. In a process
    forked from the one that made the handler, it starts a helper process of its own.
    """

    def __init__(self, timeout: float = 4.0, memory_mb: int = 4096):
        self.timeout, self.memory_mb = timeout, memory_mb
        self._warm: WarmProcess | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        sys.set_int_max_str_digits(0)  # TACO has integers of more digits than Python reads by default

    def __enter__(self) -> "TACOTaskHandler":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the helper process; the next answer starts a new one."""
        if self._warm is not None and self._owner == os.getpid():
            self._warm.close()
        self._warm = None

    def update_results(self, problem: dict, response: str) -> dict:
        """The verdict on `response`, an answer in the uniform format, to `problem`, a row of TACO's.

        Of the problem only `input_output` is read: JSON text or what it parses to, with `inputs`, `outputs`
        and, when a function is asked for, `fn_name`. Returns

            content        the response
            correctness    whether it passes all tests; None: not judged, as the problem has no tests, or none
                           that make sense, or the machine failed three times
            reason         "" if correct, otherwise one of REASONS
            tests          for each test up to the first failing one a dictionary with `index`, `passed`,
                           `reason`, `seconds` (CPU time); the failing one's also has `input`, `expected`,
                           `output`, cut short

        Raises UserError when the helper process cannot even be started.
        """
        with self._lock:
            reason, results = self._judge(problem.get("input_output"), response)
        correctness = None if reason == NOT_JUDGED else reason == ""
        return {"content": response, "correctness": correctness, "reason": reason, "tests": results}

    def _judge(self, input_output: Any, response: str) -> tuple[str, list[dict]]:
        tests = parse_tests(input_output) if isinstance(input_output, str) else make_tests(input_output)
        if tests is None:
            return NOT_JUDGED, []
        source = extract_code(response)
        if source is None or not source.strip():
            return NO_CODE, []
        results: list[dict] = []
        try:
            if tests.function is not None:
                results = self._attempt(partial(self._call, source=source, tests=tests))
            else:
                for index in range(len(tests.inputs)):
                    work = partial(self._run, source=source, tests=tests, index=index)
                    results.append(self._attempt(work))
                    if not results[-1]["passed"]:
                        break
        except MachineError:
            return NOT_JUDGED, results
        return results[-1]["reason"], results

    def _attempt(self, work: Callable[[WarmProcess], Any]) -> Any:
        """Do work with a warm process, and again with a new one when it fails."""
        failure = MachineError()
        for _ in range(ATTEMPTS):
            try:
                return work(self._warm_process())
            except MachineError as error:
                failure = error
                self.close()
        raise failure

    def _warm_process(self) -> WarmProcess:
        if self._owner != os.getpid():
            self._warm, self._owner = None, os.getpid()
        if self._warm is None:
            self._warm = WarmProcess(self.memory_mb)
        return self._warm

    def _run(self, warm: WarmProcess, source: str, tests: ProblemTests, index: int) -> dict:
        ran = warm.run(source, tests.inputs[index], self.timeout)
        expected = tests.outputs[index]
        reason = ran.reason or ("" if same_text(expected, ran.output) else WRONG_ANSWER)
        result = _result(index, reason, ran.seconds)
        if reason:
            result |= _shown(*[_text(part) for part in (tests.inputs[index], expected, ran.output)])
        return result

    def _call(self, warm: WarmProcess, source: str, tests: ProblemTests) -> list[dict]:
        """The results of a function, up to the first failing test.

        Where the expected values may be wrapped, it passes all tests with the wrapping on or all with it off.
        """
        results = []
        readings = [False, True] if tests.wrapped else [False]
        with closing(warm.calls(source, tests.function, tests.inputs, self.timeout)) as calls:
            for index, (call, expected) in enumerate(zip(calls, tests.outputs, strict=False)):
                reason = call.reason
                if not reason:
                    readings = [off for off in readings if _equal(expected, call.value, unwrap=off)]
                    reason = "" if readings else WRONG_ANSWER
                results.append(_result(index, reason, call.seconds))
                if reason:
                    output = "" if call.reason else shown(call.value)
                    results[-1] |= _shown(repr(tests.inputs[index]), repr(expected), output)
                    break
        return results


def _equal(expected: Any, tagged: Any, unwrap: bool) -> bool:
    try:
        return same_value(expected[0] if unwrap else expected, tagged)
    except (ValueError, TypeError):  # not in tagged form: the program wrote to the judge's pipe itself
        return False


def _result(index: int, reason: str, seconds: float) -> dict:
    return {"index": index, "passed": not reason, "reason": reason, "seconds": round(seconds, 4)}


def _shown(*parts: str) -> dict[str, str]:
    names = ("input", "expected", "output")
    return {name: part[:SHOWN_CHARACTERS] for name, part in zip(names, parts, strict=True)}


def _text(data: bytes) -> str:
    return data[: 4 * SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")


def _bytes(text: str | list[str]) -> bytes:
    """Text, or a list of lines, with Unix line ends. Raises TypeError for anything else."""
    joined = text if isinstance(text, str) else "\n".join(text)
    return joined.replace("\r\n", "\n").encode("utf-8", "surrogatepass")


@lru_cache(maxsize=4)
def parse_tests(input_output: str) -> ProblemTests | None:
    """A problem's tests from TACO's JSON text, kept for its other samples; None if they make no sense."""
    try:
        return make_tests(json.loads(input_output))
    except (ValueError, RecursionError):
        return None


def make_tests(input_output: Any) -> ProblemTests | None:
    """A problem's tests out of the parsed `input_output`; None when there are none or they are malformed.

    Standard input and output may be lists of lines. Windows line ends in an input become Unix ones: programs
    that compare whole lines never saw them on the judges the tests are from.
    """
    if not isinstance(input_output, dict):
        return None
    function = input_output.get("fn_name") or None
    inputs, outputs = input_output.get("inputs"), input_output.get("outputs")
    if not (isinstance(inputs, list) and isinstance(outputs, list) and 0 < len(inputs) == len(outputs)):
        return None
    if function is not None:
        if not isinstance(function, str) or not all(isinstance(arguments, list) for arguments in inputs):
            return None
        wrapped = all(isinstance(output, list) and len(output) == 1 for output in outputs)
        return ProblemTests(function, inputs, outputs, wrapped)
    try:
        return ProblemTests(
            None, [_bytes(text) for text in inputs], [_bytes(text) for text in outputs], False
        )
    except TypeError:
        return None
