"""The verdict on an answer to a TACO problem: `TACOTaskHandler`, named as in SkyThought, which it replaces.

    with TACOTaskHandler() as judge:
        judge.update_results(problem, converted_text)["correctness"]  # True, False, or None: not judged

A program is correct when it passes every test of its problem. `own_rules` judges the tests, or `reference_rules` as the
paper's checker does. The two differ because SkyThought's handler counts programs as correct that do not
compile or run out of time.
"""

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict, cast

from hindsight.errors import UserError
from hindsight.files.verdicts import NO_CODE, NOT_JUDGED
from hindsight.text.program_choice import ProgramTarget, find_program
from SkyThought import evalplus_rules, own_rules, reference_rules
from SkyThought.evalplus_tasks import EvalplusTask
from SkyThought.execution.program import Program
from SkyThought.execution.warm_process_handle import MachineError, WarmProcess
from SkyThought.machine_lock import MachineLock
from SkyThought.own_rules import Check, TestResult
from SkyThought.problem_tests import ProblemTests, read_tests
from SkyThought.program_test_rules import judge_test_program
from SkyThought.reference_values import ReferenceFailure
from SkyThought.sandbox.layers import LAYERS
from SkyThought.sandbox.prelude import wants_more
from SkyThought.time_limit import TimeLimit

ATTEMPTS = 3  # runs of a program that the machine may fail before it is "not judged"


class Verdict(TypedDict):
    """The verdict on a program.

    correctness: whether it passes all tests; None: not judged; reason: "" if correct, otherwise a reason of
    `hindsight.files.verdicts`; tests: the results up to the first failure.
    """

    correctness: bool | None
    reason: str
    tests: list[TestResult]
    base_status: NotRequired[str]  # of a task of EvalPlus: pass or fail, as the next one
    plus_status: NotRequired[str]


class TACOTaskHandler:
    """Judges answers one at a time; to judge several at a time, make several handlers.

    timeout: CPU seconds per test (the limit by the clock is three times that); memory_mb: a program's address space
    in MiB; layers: what contains programs, from `LAYERS`; unsafe: run programs even if the layers do not contain them;
    reference_rules: use the rules of the paper's own checker. The warm processes start with the first answer; `close`
    ends them. After a fork, the handler starts new ones in the child.
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
            raise UserError(f"{unknown[0]!r} is not a layer of the sandbox; the layers are {', '.join(LAYERS)}")
        self.timeout, self.memory_mb, self.layers, self.unsafe = timeout, memory_mb, tuple(layers), unsafe
        self.reference_rules = reference_rules
        self._warm: dict[str, WarmProcess] = {}  # by the kind of its prelude
        self._limit: TimeLimit | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        sys.set_int_max_str_digits(0)  # TACO has integers with more digits than Python reads by default

    def __enter__(self) -> "TACOTaskHandler":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the warm processes; the next answer starts new ones."""
        if self._owner == os.getpid():
            for warm in self._warm.values():
                warm.close()
            if self._limit is not None:
                self._limit.lock.close()
        self._warm, self._limit = {}, None

    def protection(self) -> str:
        """What contains the programs here, in one sentence. Raises UserError when that does not suffice."""
        with self._lock:
            state = self._start("small")[0].state
        off = "".join(f"; no {name} ({reason})" for name, reason in state["off"].items())
        weak = f"; a program could {', '.join(state['possible'])}" if state["possible"] else ""
        return f"Programs are contained by {', '.join(state['on']) or 'nothing'}{off}{weak}."

    def update_results(self, problem: dict[str, Any], response: str) -> dict[str, Any]:
        """The verdict on `response`, an answer in the uniform format, with the response itself as `content`.

        problem: a row of TACO's, of which only `input_output` is read: JSON text or the object it parses to, with
        `inputs`, `outputs` and, for a function, `fn_name`.
        """
        tests = read_tests(problem.get("input_output"))
        return {"content": response, **self.judge(self.find_program(response, tests), tests)}

    def find_program(self, response: str, tests: ProblemTests) -> str | None:
        """The program of an answer to a problem with these tests, by this handler's rules; None if it has none."""
        if self.reference_rules:
            return reference_rules.find_code(response)
        reads_input = not tests.fault and tests.function is None
        return find_program(response, ProgramTarget(tests.function, reads_input))

    def judge(self, source: str | None, tests: ProblemTests, check: Check | None = None) -> Verdict:
        """The verdict on a program (None: the answer has none) by a problem's tests.

        check: a special judge, which is called with a test's input, expected output and output in place of the
        comparison: texts for standard input, a list of arguments and two values for a function. The program is not
        judged if `check` fails, or if the machine fails three times. Raises UserError when a warm process does not
        start or cannot contain programs.
        """
        if tests.fault:
            return {"correctness": None, "reason": f"{NOT_JUDGED}: {tests.fault}", "tests": []}
        if self.reference_rules and (tests.task or tests.test_program):
            reason = f"{NOT_JUDGED}: the paper's checker has no rules for its problem's tests"
            return {"correctness": None, "reason": reason, "tests": []}
        if source is None or not (source.strip() or self.reference_rules):
            statuses = {f"{group}_status": "fail" for group in tests.task.inputs} if tests.task else {}
            return cast(Verdict, {"correctness": False, "reason": NO_CODE, "tests": [], **statuses})
        results: list[TestResult] = []
        failure = ""
        with self._lock:
            for _ in range(ATTEMPTS):
                results.clear()
                try:
                    if tests.task is not None:
                        return self._judge_task(source, tests.task)
                    results.extend(self._judge_tests(source, tests, check))
                except MachineError as error:
                    failure = str(error)
                    self.close()
                    continue
                reason = "" if all(result["passed"] for result in results) else results[-1]["reason"]
                return {
                    "correctness": None if reason.startswith(NOT_JUDGED) else reason == "",
                    "reason": reason,
                    "tests": results,
                }
        reason = f"{NOT_JUDGED}: {failure}, {ATTEMPTS} times"
        return {"correctness": None, "reason": reason, "tests": results}

    def _judge_task(self, source: str, task: EvalplusTask) -> Verdict:
        """The verdict by EvalPlus's rules, with the tests that failed. Raises MachineError."""
        warm, limit = self._start("large-plain" if wants_more(source) else "small-plain")
        try:
            with limit.lock.shared():
                results = evalplus_rules.judge_task(warm, source, task, TimeLimit(1.0, limit.lock))
        except ReferenceFailure as failure:
            return {"correctness": None, "reason": f"{NOT_JUDGED}: {failure}", "tests": []}
        failed = [result for group in results.values() for result in group if not result["passed"]]
        statuses = {f"{group}_status": evalplus_rules.status(each) for group, each in results.items()}
        reason = failed[0]["reason"] if failed else ""
        return cast(Verdict, {"correctness": not failed, "reason": reason, "tests": failed, **statuses})

    def _judge_tests(self, source: str, tests: ProblemTests, check: Check | None) -> Iterator[TestResult]:
        """The results by this handler's rules. Raises MachineError."""
        size = "large" if self.reference_rules or wants_more(source + tests.test_program) else "small"
        warm, limit = self._start(f"{size}-plain" if tests.test_program else size)
        with limit.lock.shared():
            if tests.test_program:
                yield judge_test_program(warm, source, tests, limit)
            elif self.reference_rules:
                yield from reference_rules.judge_tests(warm, source, tests, limit)
            else:
                with Program(warm, source) as program:
                    yield from own_rules.judge_tests(program, tests, limit, check)

    def _start(self, kind: str) -> tuple[WarmProcess, TimeLimit]:
        """The warm process with this prelude, and the time limit; after a fork, new ones."""
        if self._owner != os.getpid():
            self._warm, self._limit, self._owner = {}, None, os.getpid()
        if self._limit is None:
            self._limit = TimeLimit(self.timeout, MachineLock())
        if kind not in self._warm:
            self._warm[kind] = WarmProcess(self.memory_mb, self.layers, kind, self.unsafe)
        return self._warm[kind], self._limit
