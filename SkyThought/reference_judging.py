"""Judging by the rules of the paper's own checker: runs programs as that checker did, see `reference_rules`."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from hindsight.files.verdicts import WRONG_ANSWER
from SkyThought import reference_rules as rules
from SkyThought.execution.program import Program
from SkyThought.execution.warm_process_handle import WarmProcess
from SkyThought.own_rules import TestResult, make_result
from SkyThought.problem_tests import ProblemTests
from SkyThought.time_limit import TimeLimit

_REASONS = {True: "", False: WRONG_ANSWER, None: "output is not UTF-8"}

Outcome = tuple[str, float, bool | None]  # the reason, CPU seconds, and the outcome by the paper's rules


def judge_tests(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> Iterator[TestResult]:
    """The result of each test, up to the first that is no plain success; an error counts as passed."""
    find_outcomes = _outcomes_of_runs if tests.function is None else _outcomes_of_calls
    for index, (reason, seconds, outcome) in enumerate(find_outcomes(warm, source, tests, limit)):
        result = make_result(index, reason or _REASONS[outcome], seconds)
        result["passed"] = outcome is not False
        yield result
        if outcome is not True:
            return


def _outcomes_of_runs(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> Iterator[Outcome]:
    with Program(warm, rules.trial(source)) as program:
        trial = program.run(b"", limit.seconds)
    outcome = rules.judge_trial(trial.reason)
    if outcome is not True:
        yield trial.reason, trial.seconds, outcome
        return
    with Program(warm, rules.program(source)) as program:
        for stdin, expected in zip(tests.inputs, tests.outputs, strict=True):
            ran = limit.enforce(partial(program.run, stdin), lambda ran: (ran.reason, ran.seconds))
            yield ran.reason, ran.seconds, rules.judge_text(expected, ran.reason, ran.output)


def _outcomes_of_calls(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> Iterator[Outcome]:
    function = tests.function or ""
    arguments = [rules.arguments(each) for each in tests.inputs]
    with (
        Program(warm, rules.program(source, function)) as program,
        closing(program.calls(function, arguments, limit.seconds)) as calls,
    ):
        for call, expected in zip(calls, tests.outputs, strict=False):
            yield call.reason, call.seconds, rules.judge_call(expected, call.reason, call.value)
