"""A problem's tests, from TACO's `input_output` to what the judge compares with."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from SkyThought.comparison import has_real_number
from SkyThought.evalplus_tasks import EvalplusTask, make_task
from SkyThought.sandbox.calls import NATIVE, TACO, TEXT, integer_keys, native_keys


@dataclass(frozen=True)
class ProblemTests:
    """Inputs and expected outputs. Standard input: bytes. A function: lists of arguments, and JSON values.

    `fault`: why nothing can be judged by them, "" for sound tests. `wrapped`: every expected value is a list of one
    element, perhaps TACO's wrapping of the value. `key_readings`: the ways to read the keys of dictionaries in the
    arguments (see `sandbox.calls`); a function may pass with any of them. `real`: the problem's numbers are real
    numbers (see `comparison`). `any_case`: upper and lower case are the same. `task`: instead of `inputs` and
    `outputs`, those of EvalPlus, whose expected values are what the task's own solution returns. `test_program`:
    instead of them, one that calls the function, and must run to its end; `solution`: the problem's own, which passes.
    """

    function: str | None = None
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    fault: str = ""
    wrapped: bool = False
    key_readings: tuple[bytes, ...] = (TEXT,)
    real: bool = False
    any_case: bool = False
    task: EvalplusTask | None = None
    test_program: str = ""
    solution: str = ""

    @property
    def count(self) -> int:
        """How many tests there are: inputs of all groups, or one test program."""
        return (
            sum(map(len, self.task.inputs.values())) if self.task else len(self.inputs) or int(bool(self.test_program))
        )


def read_tests(input_output: Any) -> ProblemTests:
    """A problem's tests from JSON text or the object it parses to."""
    return _parse_tests(input_output) if isinstance(input_output, str) else make_tests(input_output)


@lru_cache(maxsize=4)
def _parse_tests(text: str) -> ProblemTests:
    """Cached for the problem's other samples."""
    try:
        return make_tests(json.loads(text) if text.strip() else None)
    except (ValueError, RecursionError):
        return ProblemTests(fault="its problem's tests are not JSON")


def make_tests(input_output: Any) -> ProblemTests:
    """A problem's tests from the parsed `input_output`.

    Standard input and output may be lists of lines. Windows line ends become Unix ones: the original judges of these
    problems never passed them to a program, so programs that compare whole lines rely on that.
    """
    tests: dict[str, Any] = input_output if isinstance(input_output, dict) else {}
    inputs, outputs, function = tests.get("inputs", ()), tests.get("outputs", ()), tests.get("fn_name") or None
    if "base_input" in tests:
        return _evalplus_tests(tests)
    if "test_program" in tests:
        program = tests["test_program"]
        good = isinstance(program, str) and bool(program.strip())
        if not good:
            return ProblemTests(fault="its problem has no tests")
        solution = tests.get("canonical_solution")
        return ProblemTests(function, test_program=program, solution=solution if isinstance(solution, str) else "")
    fault = _fault(inputs, outputs, function)
    if fault:
        return ProblemTests(
            fault="its problem has no tests" if not input_output else f"its problem's tests have {fault}"
        )
    if function is not None:
        wrapped = all(isinstance(output, list) and len(output) == 1 for output in outputs)
        return ProblemTests(function, inputs, outputs, wrapped=wrapped, key_readings=_key_readings(inputs))
    try:
        given, expected = [_bytes(text) for text in inputs], [_bytes(text) for text in outputs]
    except TypeError:
        return ProblemTests(fault="its problem's tests have inputs or outputs that are not text")
    return ProblemTests(None, given, expected, real=any(map(has_real_number, expected)))


def _evalplus_tests(tests: dict[str, Any]) -> ProblemTests:
    try:
        task = make_task(tests)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return ProblemTests(fault=f"its problem's tests are not EvalPlus's ({type(error).__name__}: {error})")
    if not task.inputs.get("base"):
        return ProblemTests(fault="its problem has no tests")
    return ProblemTests(task.function, task=task)


def _fault(inputs: Any, outputs: Any, function: Any) -> str:
    """What is wrong with the form of tests; "" if nothing."""
    if not (isinstance(inputs, list) and isinstance(outputs, list)):
        return "no list of inputs or of outputs"
    if not inputs or len(inputs) != len(outputs):
        return f"{len(inputs)} inputs and {len(outputs)} outputs"
    if function is not None and not isinstance(function, str):
        return "a function name that is not text"
    if function is not None and not all(isinstance(arguments, list) for arguments in inputs):
        return "inputs that are not lists of arguments"
    return ""


def _key_readings(inputs: list[list]) -> tuple[bytes, ...]:
    """The readings that differ, TACO's at the end."""
    if not _has_dictionary(inputs):
        return (TEXT,)
    readings: list[tuple[bytes, list]] = []
    try:
        candidates = {NATIVE: native_keys(inputs), TEXT: inputs, TACO: [integer_keys(each) for each in inputs]}
    except RecursionError:
        return (TEXT,)
    for name, reading in candidates.items():
        if all(reading != other for _, other in readings):
            readings.append((name, reading))
    return tuple(name for name, _ in readings)


def _has_dictionary(value: list) -> bool:
    lists = [value]
    while lists:
        for item in lists.pop():
            if isinstance(item, dict):
                return True
            if isinstance(item, list):
                lists.append(item)
    return False


def _bytes(text: str | list[str]) -> bytes:
    """Text, or a list of lines with or without their ends, with Unix line ends. Raises TypeError for anything else."""
    if not isinstance(text, str | list):
        raise TypeError(f"neither text nor lines: {type(text).__name__}")
    lines = [text] if isinstance(text, str) else text
    has_ends = len(lines) > 1 and all(line.endswith("\n") for line in lines[:-1])
    joined = ("" if has_ends else "\n").join(lines)
    return joined.replace("\r\n", "\n").encode("utf-8", "surrogatepass")
