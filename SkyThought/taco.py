"""The verdict on an answer to a TACO problem: `TACOTaskHandler`, named as in SkyThought, which it replaces.

    with TACOTaskHandler() as judge:
        judge.update_results(problem, converted_text)["correctness"]  # True, False, or None: not judged

A program is correct when it passes every test of its problem; the tests stop at the first one that fails.
What it is to pass a test is in `comparison` (the output, the value) and `execution` (how the program ended).
Where this differs from SkyThought's handler that one was wrong: it counts programs that do not compile or run
out of time as correct.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from hindsight.errors import UserError
from hindsight.files.verdicts import (
    NO_CODE,
    NOT_JUDGED,
    RUNTIME_ERROR,
    TIME_LIMIT,
    WRONG_ANSWER,
)
from hindsight.text.code_blocks import extract_code
from SkyThought import reference_rules
from SkyThought.comparison import plain, same_text, same_value, shown
from SkyThought.machine_lock import Machine
from SkyThought.problem_tests import ProblemTests, make_tests, parse_tests
from SkyThought.sandbox.execution import Call, Execution, Program
from SkyThought.sandbox.helper_process import MachineError, WarmProcess
from SkyThought.sandbox.layers import LAYERS
from SkyThought.sandbox.prelude import wants_more

SHOWN_CHARACTERS = 1000  # of the input, the expected output and the output of the test that failed
ATTEMPTS = 3  # times a program is run before the machine's failing makes it "not judged"
BUSY_FACTOR = 1.5  # the time limit on a busy machine; what ends between the two is judged again alone
TIMES_ALONE = 3  # what others than judges do on the machine cannot be stopped: the best of so many times counts
KILLED = f"{RUNTIME_ERROR}: SIGKILL"  # by itself, or by a machine without memory: judged again alone


Check = Callable[[Any, Any, Any], bool]


class TACOTaskHandler:
    """Judges answers one at a time; several at a time take several handlers, each with helper processes.

    timeout: CPU seconds for each test (its wall time is limited to three times that); memory_mb: a program's
    address space in MiB; layers: what contains programs, of `sandbox.LAYERS`; unsafe: run them even if that does not
    contain them; reference_rules: verdicts by the rules of the paper's own checker (see `reference_rules`). The
    helper processes are started when they are first needed; `close` ends them. In a process forked from the one that
    made the handler, it starts helper processes of its own.
    """

    def __init__(
        self,
        timeout: float = 4.0,
        memory_mb: int = 4096,
        layers: tuple[str, ...] = LAYERS,
        unsafe: bool = False,
        reference_rules: bool = False,
    ):
        unknown = [name for name in layers if name not in LAYERS]
        if unknown:
            raise UserError(f"{unknown[0]!r} is not a layer of the sandbox; these are: {', '.join(LAYERS)}")
        self.timeout, self.memory_mb, self.layers, self.unsafe = timeout, memory_mb, tuple(layers), unsafe
        self.reference_rules = reference_rules
        self._warm: dict[bool, WarmProcess] = {}  # by the size of its prelude
        self._machine: Machine | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        sys.set_int_max_str_digits(0)  # TACO has integers of more digits than Python reads by default

    def __enter__(self) -> "TACOTaskHandler":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the helper processes; the next answer starts new ones."""
        if self._owner == os.getpid():
            for warm in self._warm.values():
                warm.close()
            if self._machine is not None:
                self._machine.close()
        self._warm, self._machine = {}, None

    def protection(self) -> str:
        """What contains the programs here, in one sentence. Raises UserError when that does not suffice."""
        with self._lock:
            state = self._warm_process(large=False).state
        off = "".join(f"; no {name} ({reason})" for name, reason in state["off"].items())
        weak = f"; a program could {', '.join(state['possible'])}" if state["possible"] else ""
        return f"Programs are contained by {', '.join(state['on']) or 'nothing'}{off}{weak}."

    def update_results(self, problem: dict, response: str) -> dict:
        """The verdict on `response`, an answer in the uniform format, to `problem`, a row of TACO's.

        Of the problem only `input_output` is read: JSON text or what it parses to, with `inputs`, `outputs`
        and, when a function is asked for, `fn_name`. Returns what `judge` does, and the response as `content`.
        """
        tests = problem.get("input_output")
        tests = parse_tests(tests) if isinstance(tests, str) else make_tests(tests)
        return {"content": response, **self.judge(self.find_program(response), tests)}

    def find_program(self, response: str) -> str | None:
        """The program of an answer, by the rules of this handler; None: it holds none."""
        return reference_rules.find_code(response) if self.reference_rules else extract_code(response)

    def judge(self, source: str | None, tests: ProblemTests | None, check: Check | None = None) -> dict:
        """The verdict on a program (None: the answer holds none) by a problem's tests (None: it has none).

        check: a special judge, called with a test's input, expected output and output instead of comparing the two:
        text for standard input, a list of arguments and two values for a function. Returns

            correctness    whether it passes all tests; None: not judged, as there are no tests, the machine
                           failed three times, or `check` did
            reason         "" if correct, otherwise one of REASONS
            tests          for each test up to the first failing one a dictionary with `index`, `passed`,
                           `reason`, `seconds` (CPU time); the failing one's also has `input`, `expected`,
                           `output`, cut short

        Raises UserError when the helper process cannot even be started, or cannot contain programs.
        """
        if tests is None:
            return _verdict(NOT_JUDGED, [])
        if source is None or not (source.strip() or self.reference_rules):
            return _verdict(NO_CODE, [])
        with self._lock:
            for _ in range(ATTEMPTS):
                results: list[dict] = []
                try:
                    if self.reference_rules:
                        return _verdict(self._run_by_reference(source, tests, results), results)
                    self._run_tests(source, tests, check, results)
                    return _verdict(results[-1]["reason"], results)
                except MachineError:
                    self.close()
        return _verdict(NOT_JUDGED, results)

    def _run_tests(self, source: str, tests: ProblemTests, check: Check | None, results: list[dict]) -> None:
        """Add the result of each test to `results`, up to the first that fails."""
        warm = self._warm_process(wants_more(source))
        judge_test = partial(self._judge_test, tests=tests, check=check)
        with self._machine.shared(), Program(warm, source) as program:
            if tests.function is not None:
                self._judge_calls(program, tests, check, results)
                return
            for index, stdin in enumerate(tests.inputs):
                results.append(judge_test(index, self._run(program, stdin)))
                if results[-1]["reason"]:
                    return

    def _run_by_reference(self, source: str, tests: ProblemTests, results: list[dict]) -> str:
        """The reason by the paper's rules ("": correct); the result of each test is added to `results`."""
        warm, outcomes = self._warm_process(large=True), []
        text = reference_rules.program(source, tests.function)
        ends = self._reference_outcomes(warm, source, text, tests)
        with self._machine.shared(), closing(ends):
            for index, (reason, seconds, outcome) in enumerate(ends):
                outcomes.append(outcome)
                shown = reason or {True: "", False: WRONG_ANSWER, None: "output is not UTF-8"}[outcome]
                results.append(_result(index, shown, seconds) | {"passed": outcome is not False})
                if outcome is not True:
                    break
        return "" if reference_rules.verdict(outcomes) else results[-1]["reason"]

    def _reference_outcomes(
        self, warm: WarmProcess, source: str, text: str, tests: ProblemTests
    ) -> Iterator[tuple[str, float, bool | None]]:
        """How each test ended, its seconds, and what that is by the paper's rules."""
        if tests.function is not None:
            arguments = [reference_rules.arguments(each) for each in tests.inputs]
            with (
                Program(warm, text) as program,
                closing(program.calls(tests.function, arguments, self.timeout)) as calls,
            ):
                for call, expected in zip(calls, tests.outputs, strict=False):
                    yield call.reason, call.seconds, reference_rules.judge_call(expected, call.reason, call.value)
            return
        with Program(warm, reference_rules.trial(source)) as program:
            trial = program.run(b"", self.timeout)
        outcome = reference_rules.judge_trial(trial.reason)
        if outcome is not True:
            yield trial.reason, trial.seconds, outcome
            return
        with Program(warm, text) as program:
            for stdin, expected in zip(tests.inputs, tests.outputs, strict=True):
                ran = self._run(program, stdin)
                yield ran.reason, ran.seconds, reference_rules.judge_text(expected, ran.reason, ran.output)

    def _warm_process(self, large: bool) -> WarmProcess:
        if self._owner != os.getpid():
            self._warm, self._machine, self._owner = {}, None, os.getpid()
        if self._machine is None:
            self._machine = Machine()
        if large not in self._warm:
            self._warm[large] = WarmProcess(self.memory_mb, self.layers, large, self.unsafe)
        return self._warm[large]

    def _run(self, program: Program, stdin: bytes) -> Execution:
        """Run a test; where the machine may be to blame for how it ended, again alone."""
        longer = self._longer_timeout()
        ran = program.run(stdin, longer)
        if self._machine_to_blame(ran.reason, ran.seconds, longer):
            for _ in range(TIMES_ALONE):
                with self._machine.alone():
                    ran = program.run(stdin, self.timeout)
                if ran.reason != TIME_LIMIT:
                    break
        return ran

    def _longer_timeout(self) -> float:
        return BUSY_FACTOR * self.timeout if self._machine.is_busy() else self.timeout

    def _machine_to_blame(self, reason: str, seconds: float, timeout: float) -> bool:
        """Whether a program was killed by somebody, or met its time limit as it may not have on an idle machine."""
        if reason == TIME_LIMIT:
            return timeout == self.timeout and self._machine.is_busy()
        return reason == KILLED or seconds > self.timeout

    def _judge_test(self, index: int, ran: Execution, tests: ProblemTests, check: Check | None) -> dict:
        stdin, expected = tests.inputs[index], tests.outputs[index]
        reason, why = ran.reason, {}
        if not reason and check is not None:
            reason, why = _checked(check, *[_text(part) for part in (stdin, expected, ran.output)])
        elif not reason:
            reason = "" if same_text(expected, ran.output) else WRONG_ANSWER
        result = _result(index, reason, ran.seconds) | why
        if reason:
            result |= _shown(*[_text(part[: 4 * SHOWN_CHARACTERS]) for part in (stdin, expected, ran.output)])
        return result

    def _judge_calls(self, program: Program, tests: ProblemTests, check: Check | None, results: list[dict]) -> None:
        """The results of a function, up to its first failing test; as with `_run`, perhaps from a second time alone."""
        longer = self._longer_timeout()
        results += _call_results(program.calls(tests.function, tests.inputs, longer), tests, check)
        slowest = max(result["seconds"] for result in results)
        if self._machine_to_blame(results[-1]["reason"], slowest, longer):
            for _ in range(TIMES_ALONE):
                with self._machine.alone():
                    results[:] = _call_results(program.calls(tests.function, tests.inputs, self.timeout), tests, check)
                if results[-1]["reason"] != TIME_LIMIT:
                    break


def _call_results(calls: Iterator[Call], tests: ProblemTests, check: Check | None) -> list[dict]:
    """Where the expected values may be wrapped, a function passes all tests with the wrapping on or all with it off."""
    results = []
    readings = [False, True] if tests.wrapped else [False]
    with closing(calls):
        for index, call in enumerate(calls):
            arguments, expected = tests.inputs[index], tests.outputs[index]
            reason, why = call.reason, {}
            if not reason and check is not None:
                reason, why = _checked(check, arguments, expected, call.value, plain)
            elif not reason:
                readings = [off for off in readings if _equal(expected, call.value, unwrap=off)]
                reason = "" if readings else WRONG_ANSWER
            results.append(_result(index, reason, call.seconds) | why)
            if reason:
                output = "" if call.reason else shown(call.value)
                results[-1] |= _shown(repr(arguments), repr(expected), output)
                break
    return results


def _checked(
    check: Check, test_input: Any, expected: Any, output: Any, read: Callable[[Any], Any] = str
) -> tuple[str, dict]:
    """What a special judge says of an output as `read` gives it; its own failure is not the program's."""
    try:
        accepted = check(test_input, expected, read(output))
        if isinstance(accepted, bool):
            return ("" if accepted else WRONG_ANSWER), {}
        failure = f"check returned {accepted!r}, not True or False"
    except Exception as error:  # code of the user's: whatever it raises, the program is not judged
        failure = f"{type(error).__name__}: {error}"
    return NOT_JUDGED, {"special_judge": failure}


def _verdict(reason: str, results: list[dict]) -> dict:
    correctness = None if reason == NOT_JUDGED else reason == ""
    return {"correctness": correctness, "reason": reason, "tests": results}


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
    return data.decode("utf-8", "backslashreplace")
