"""Judges programs as EvalPlus 0.3.1 does (Liu et al. 2023): by base and by plus tests, against a reference solution.

The source of each rule, in EvalPlus's files:

- `evaluate.py`, `check_correctness`: base and plus are two runs, each in a separate process; a sample counts for
  "plus" when both pass.
- `evaluate.py`, `get_groundtruth`: an expected value is what the problem's own solution returns; for three problems of
  MBPP only whether it is None (`eval/_special_oracle.py`).
- `eval/__init__.py`, `unsafe_execute`: values are equal by Python's `==`. If they are not and the problem has a
  tolerance, or an expected value so far was a float or a list of floats (1e-6), they must be of one type and close by
  `numpy.allclose` with rtol 1e-7. Eight problems of MBPP compare sets, four more accept another reading of the problem,
  and HumanEval/32 (`find_zero`) checks that what is returned is a root.
- `config.py`: an input may take four times as long as the reference solution, but at least one second. Here these are
  seconds of CPU time, so that a busy machine changes no verdict.
- The program is imported, not run as a script; nothing is imported for it; its function is the global of that name.
"""

import marshal
import math
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from hindsight.files.verdicts import WRONG_ANSWER
from SkyThought.evalplus_tasks import EvalplusTask
from SkyThought.execution.program import SAME, Program
from SkyThought.execution.warm_process_handle import WarmProcess
from SkyThought.own_rules import TestResult, add_excerpts, make_result
from SkyThought.reference_values import ReferenceValues, reference_values
from SkyThought.sandbox.calls import EXACT, SET
from SkyThought.sandbox.exact_values import untag_exactly
from SkyThought.time_limit import TimeLimit

FACTOR, LEAST_SECONDS = 4.0, 1.0  # of the reference solution's time
RTOL, ATOL_OF_FLOATS = 1e-7, 1e-6
NOT_NONE = ("check_str", "text_match_three", "text_starta_endb")
SETS = ("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum")
SETS += ("intersection_array", "find_dissimilar", "Diff")

Oracle = Callable[[list, Any, float], bool]  # the arguments, what was returned, the tolerance


def judge_task(warm: WarmProcess, source: str, task: EvalplusTask, limit: TimeLimit) -> dict[str, list[TestResult]]:
    """The results of each group of tests ("base", "plus") up to its first failure.

    Raises MachineError, or ReferenceFailure when the problem's own solution fails.
    """
    results = {}
    for group in task.inputs:
        comparison = Comparison(task, reference_values(warm, task, group, reading_of(task)))
        run = partial(_judge_group, warm, source, task, group, comparison)
        results[group] = limit.enforce(run, _ending)
        for result in results[group]:
            result.pop("share", None)
    return results


def status(results: list[TestResult]) -> str:
    """EvalPlus's word for a group's results."""
    return "pass" if all(result["passed"] for result in results) else "fail"


def _ending(results: list[TestResult]) -> tuple[str, float]:
    """The reason of the last call, and the largest share of its time limit that any call took."""
    return results[-1]["reason"], max(each.get("share", 0.0) for each in results)


def reading_of(task: EvalplusTask) -> bytes:
    """How values are reported, see `sandbox.calls`."""
    return SET if task.set == "mbpp" and task.function in SETS else EXACT


def _judge_group(
    warm: WarmProcess, source: str, task: EvalplusTask, group: str, comparison: "Comparison", scale: float
) -> list[TestResult]:
    inputs, results = task.inputs[group], []
    if not inputs:  # Mbpp/793 has no plus input: EvalPlus only loads the program
        return _judge_loading(warm, source, task, scale)
    reference = comparison.reference
    unmet = reference.reports.index(None) if None in reference.reports else len(inputs)
    limits = [scale * max(LEAST_SECONDS, FACTOR * seconds) for seconds in reference.seconds[:unmet]]
    arguments = (task.function, task.packed_inputs[group], limits, reading_of(task), comparison.known)
    with Program(warm, source) as program, closing(program.calls(*arguments)) as calls:
        for index, call in enumerate(calls):
            reason = call.reason
            if not reason and call.value is not SAME and not comparison.accepts(index, inputs[index], call.value):
                reason = WRONG_ANSWER
            results.append(result := make_result(index, reason, call.seconds))
            result["group"], result["share"] = group, scale * call.seconds / limits[index]
            if reason:
                output = "" if call.reason else describe(call.value)
                add_excerpts(result, repr(inputs[index]), repr(reference.value(index)), output)
                return results
    if unmet < len(inputs):  # of Mbpp/255: no program returns what the task's own solution cannot
        results.append(result := make_result(unmet, WRONG_ANSWER, 0.0))
        result["group"] = group
        add_excerpts(result, repr(inputs[unmet]), "nothing: the task's own solution fails on this input", "")
    return results


def _judge_loading(warm: WarmProcess, source: str, task: EvalplusTask, scale: float) -> list[TestResult]:
    limits = [scale * LEAST_SECONDS]
    with (
        Program(warm, source) as program,
        closing(program.calls(task.function, marshal.dumps([]), limits, EXACT)) as calls,
    ):
        (call,) = calls
    result = make_result(0, call.reason, call.seconds)
    result["share"] = scale * call.seconds / limits[0]
    return [result]


class Comparison:
    """Compares what a program returns with a group's expected values, input by input.

    known: the reports that are right without a closer look.
    """

    def __init__(self, task: EvalplusTask, reference: ReferenceValues):
        self.reference, self.key = reference, (task.set, task.function)
        self.oracle = ORACLES.get(self.key)
        self.only_not_none = task.set == "mbpp" and task.function in NOT_NONE
        self.as_sets = reading_of(task) == SET
        self.known = () if self.only_not_none or self.key == FIND_ZERO else reference.known
        self.first_float = reference.floats.index(True) if True in reference.floats else len(reference.floats)
        self.atol = task.atol

    def accepts(self, index: int, arguments: list, tagged: Any) -> bool:
        """Whether the value in tagged form is right for this input. A value that cannot be compared is wrong."""
        try:
            return self._accepts(index, arguments, untag_exactly(tagged))
        except Exception:  # as in EvalPlus, where any exception in a comparison is a failure of the program
            return False

    def _accepts(self, index: int, arguments: list, output: Any) -> bool:
        if self.key == FIND_ZERO:
            return bool(abs(polynomial(arguments[0], output)) <= self.atol)
        expected = self.reference.value(index)
        if self.only_not_none:
            exact = (
                output == (expected is not None) if isinstance(output, bool) else (output is None) == (expected is None)
            )
            return bool(exact)
        exact = set(output) == set(expected) if self.as_sets else output == expected
        if not exact and self.oracle is not None:
            exact = self.oracle(arguments, output, self._tolerance(after=index - 1))
        tolerance = self._tolerance(after=index)
        return bool(exact) or (tolerance != 0 and _close(output, expected, tolerance))

    def _tolerance(self, after: int) -> float:
        """The task's, or that of floats once an expected value up to this one was a float."""
        return self.atol or (ATOL_OF_FLOATS if after >= self.first_float else 0.0)


def describe(tagged: Any) -> str:
    """A tagged value as Python prints it; a fixed sentence if the program forged it or nested it too deeply."""
    try:
        return repr(untag_exactly(tagged))
    except (TypeError, ValueError, RecursionError):
        return "a value that cannot be shown"


def _close(output: Any, expected: Any, atol: float) -> bool:
    if type(output) is not type(expected) or (isinstance(expected, list | tuple) and len(output) != len(expected)):
        return False
    import numpy  # slow to import, and rarely needed

    # For numpy, and so for EvalPlus, [[]] is close to [1.5].
    if (numpy.size(output) == 0) != (numpy.size(expected) == 0):
        return False
    return bool(numpy.allclose(output, expected, rtol=RTOL, atol=atol))


def polynomial(coefficients: list, x: float) -> float:
    """The value at x; coefficients of rising powers."""
    return sum(coefficient * math.pow(x, power) for power, coefficient in enumerate(coefficients))


def pyramid_surface(base_edge: float, height: float) -> int:
    """The surface of a square pyramid, given the height from base to apex, not that of a side."""
    return round(base_edge**2 + 2 * base_edge * math.sqrt((base_edge / 2) ** 2 + height**2))


def digit_distance(first: int, second: int) -> int:
    """The sum of the differences of digits, with zeros before the shorter number."""
    width = max(len(str(first)), len(str(second)))
    pairs = zip(str(first).zfill(width), str(second).zfill(width), strict=True)
    return sum(abs(int(one) - int(other)) for one, other in pairs)


FIND_ZERO = ("humaneval", "find_zero")
ORACLES: dict[tuple[str, str], Oracle] = {
    ("mbpp", "are_equivalent"): lambda arguments, output, atol: True,
    ("mbpp", "sum_div"): lambda arguments, output, atol: output == 0,
    ("mbpp", "surface_Area"): lambda arguments, output, atol: abs(output - pyramid_surface(*arguments)) <= atol,
    ("mbpp", "digit_distance_nums"): lambda arguments, output, atol: output == digit_distance(*arguments),
}
