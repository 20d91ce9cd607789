"""The rules of the paper's own checker, its bugs included, to compare with the paper's figures.

The paper judges with SkyThought's TACO handler. These rules were taken from its source and written independently
(github.com/NovaSky-AI/SkyThought: skythought/tools/tasks/taco/taco_handler.py and taco_util.py, and
skythought/tools/util/common.py; docstrings below name the original functions).

The outcome of a test, or of a program's trial:

    True     passed: the next test follows
    False    failed: the verdict is "incorrect"
    None     an error. It ends the tests and, because its code is a negative number, which is true in Python,
             COUNTS AS PASSED: programs that do not compile, run out of time, or (called) raise are "correct"

Tests run in order, up to the first outcome that is not True: a failure after an error goes unnoticed.

Not reproduced: the 301 seconds after which a whole problem is given up as incorrect, time limits by the clock,
functions that catch the alarm themselves, objects with their own `__eq__`, a bare function in a text whose
`class Solution` lacks that method, the removal of `exit` and `quit` from functions, Windows line ends in tests.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

from hindsight.files.verdicts import OUTPUT_LIMIT, TIME_LIMIT, WRONG_ANSWER
from SkyThought.comparison import untag
from SkyThought.execution.program import Program
from SkyThought.execution.warm_process_handle import WarmProcess
from SkyThought.own_rules import TestResult, make_result
from SkyThought.problem_tests import ProblemTests
from SkyThought.sandbox import prelude
from SkyThought.sandbox.calls import PAPER
from SkyThought.time_limit import TimeLimit

_CODE_BLOCK = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)
# The checker's imports for a program.
_IMPORTS = """\
import sys, time, itertools, collections, math, fractions, random, heapq
import numpy as np
from itertools import accumulate, product, permutations, combinations
from collections import Counter, OrderedDict, deque, defaultdict, ChainMap
from functools import lru_cache
from math import sqrt, sin, cos, tan, ceil, fabs, floor, gcd, exp, log, log2
from typing import List, Tuple
from heapq import *"""
_STREAMS = "stdin = sys.stdin\nstdout = sys.stdout\n"
# Endings of a call that are not an `Exception`: they end the checker's own process, so the verdict is "incorrect".
_DEADLY = re.compile(
    r"runtime error(?:: (?:SystemExit|KeyboardInterrupt|GeneratorExit|SIG[A-Z0-9]+|signal \d+|exit status .*))?"
)

_REASONS = {True: "", False: WRONG_ANSWER, None: "output is not UTF-8"}

Outcome = tuple[str, float, bool | None]  # the reason, CPU seconds, and the outcome by the paper's rules


def judge_tests(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> Iterator[TestResult]:
    """The result of each test, up to the first that is not a plain success; an error counts as passed."""
    find_outcomes = _outcomes_of_runs if tests.function is None else _outcomes_of_calls
    for index, (reason, seconds, outcome) in enumerate(find_outcomes(warm, source, tests, limit)):
        result = make_result(index, reason or _REASONS[outcome], seconds)
        result["passed"] = outcome is not False
        yield result
        if outcome is not True:
            return


def _outcomes_of_runs(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> Iterator[Outcome]:
    with Program(warm, trial(source)) as program:
        tried = program.run(b"", limit.seconds)
    outcome = judge_trial(tried.reason)
    if outcome is not True:
        yield tried.reason, tried.seconds, outcome
        return
    with Program(warm, program_of(source)) as program:
        for stdin, expected in zip(tests.inputs, tests.outputs, strict=True):
            ran = limit.enforce(partial(program.run, stdin), lambda ran: (ran.reason, ran.seconds))
            yield ran.reason, ran.seconds, judge_text(expected, ran.reason, ran.output)


def _outcomes_of_calls(warm: WarmProcess, source: str, tests: ProblemTests, limit: TimeLimit) -> Iterator[Outcome]:
    function, limits = tests.function or "", [limit.seconds] * len(tests.inputs)
    given = json.dumps(list(map(arguments, tests.inputs))).encode()
    with (
        Program(warm, program_of(source, function)) as program,
        closing(program.calls(function, given, limits, PAPER)) as calls,
    ):
        for call, expected in zip(calls, tests.outputs, strict=False):
            yield call.reason, call.seconds, judge_call(expected, call.reason, call.value)


# The programs that run


def find_code(response: str) -> str | None:
    """The program of an answer: its last code block anywhere (`has_code`); None: "no code", incorrect.

    A fence followed by anything except letters opens no block, so after a block of ```python3 the text between its end
    and the next fence counts as the program. An empty block is a program (one that does not compile: correct).
    """
    blocks = _CODE_BLOCK.findall(response)
    return blocks[-1] if blocks else None


def trial(source: str) -> str:
    """The first run of a program for standard input, without input (`synthesize_std_code`, its `sol`).

    The program's first import lines, and the rest as the body of a function that is never called: this shows whether
    the program compiles as a function and its first imports succeed. Lines with `import *` move out of the function,
    even out of blocks. `judge_trial` judges how it ended.
    """
    lines = source.split("\n")
    start = _first_statement(lines)
    imports = [line for line in lines[:start] if "import *" not in line]
    stars = [line.lstrip("\t") for line in lines if "import *" in line]
    body = ["\t" + line for line in lines[start:] if "import *" not in line]
    if not body:  # the checker then finds no function
        return "\n".join([*imports, "raise NameError"])
    return "\n".join([*imports, _IMPORTS, *stars, _STREAMS, "def code():", *body, ""])


def program_of(source: str, function: str | None = None) -> str:
    """The program that then runs on the tests or has its `function` called (`synthesize_std_code`,
    `synthesize_cb_code`).

    For standard input the checker's prelude follows the program's first imports and may override them: `import time`
    undoes `from time import time`. For a function it precedes the first line. Names that only our own prelude has are
    removed.
    """
    if function is not None:
        return "\n".join([_without_our_prelude(), _IMPORTS, source])
    lines = source.split("\n")
    start = _first_statement(lines)
    added = [_without_our_prelude(), _IMPORTS, _STREAMS] if start < len(lines) else []
    return "\n".join([*lines[:start], *added, *lines[start:], ""])


def _first_statement(lines: list[str]) -> int:
    """Index of the first line that does not import; blank lines and comments count as such."""
    for index, line in enumerate(lines):
        if not line.startswith(("from ", "import ")) and "import *" not in line:
            return index
    return len(lines)


def _without_our_prelude() -> str:
    """Lines that remove the names of `prelude` from `builtins`."""
    members = {**prelude.NAMES, **prelude.MORE_NAMES}
    names = " ".join([prelude.MODULES, prelude.MORE_MODULES, "np", *members.values()])
    return (
        "import builtins as _builtins\n"
        f"for _name in {names!r}.split(): _builtins.__dict__.pop(_name, None)\n"
        "del _builtins, _name\n"
    )


def arguments(values: list) -> list:
    """The arguments that the checker passes to a call (`process_input_output`).

    If the first is a dictionary whose keys all read as integers, they become integers and the other arguments are
    dropped.
    """
    if not (values and isinstance(values[0], dict)):
        return values
    changed = _integer_keys(values[0])
    return values if changed is None else [changed]


def _integer_keys(dictionary: dict[str, Any]) -> dict[int, Any] | None:
    try:
        return {int(key): value for key, value in dictionary.items()}
    except ValueError:
        return None


# Outcomes


def judge_trial(reason: str) -> bool | None:
    """The outcome of running `trial`; reason: how it ended, "" if normally (`compile_and_get_func`, `run_test`)."""
    if not reason:
        return True
    return False if _DEADLY.fullmatch(reason) else None


def judge_text(expected: str | list[str] | bytes, reason: str, output: bytes) -> bool | None:
    """The outcome of a test on standard input (`execute_std_code`).

    reason: how the program ended, "" if normally; only running out of time counts. After any other end, with any exit
    status, its output is compared. The checker has no output limit: a program that exceeds ours counts as one that
    would have run out of time. Output that is not UTF-8 is an error.
    """
    if reason in (TIME_LIMIT, OUTPUT_LIMIT):
        return None
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return passes_text(expected, text.replace("\r\n", "\n").replace("\r", "\n"))


def judge_call(expected: Any, reason: str, tagged: Any = None) -> bool | None:
    """The outcome of a call (`execute_cb_code`), including loading the program and finding the function.

    reason: why it returned nothing; if "", `tagged` is its value in tagged form (see `comparison`).
    """
    if not reason:
        return passes_value(expected, tagged)
    return False if reason == OUTPUT_LIMIT else judge_trial(reason)


# Comparing


def passes_text(expected: str | list[str] | bytes, output: str) -> bool:
    """Whether an output is right (`compare_std_results`). Lists of lines are joined.

    Both are compared exactly, except for white space at their two ends: a space at the end of an inner line counts.
    The checker's further attempts were written for lists and do something else with text:

    - Each character of the output is a digit and equals, as a number, a line of the expected text: "12" is "1\\n2".
    - The set of the output's words, each as the set of its characters, equals the set of the expected lines, each as
      the set of its words. If all expected words have one character, order and repetition therefore do not count:
      "2 1 1" is "1\\n2", and "11" is "1". The same again with both as numbers to 3 places: "5" is "5.0".
    """
    if isinstance(expected, bytes):
        expected = expected.decode("utf-8", "surrogatepass")
    wanted = expected if isinstance(expected, str) else "\n".join(expected)
    if wanted.strip() == output.strip():
        return True
    lines = [line.strip() for line in wanted.split("\n") if line]
    return _same_digits(lines, output) or _same_sets(lines, output, str) or _same_sets(lines, output, _rounded)


def _same_digits(lines: list[str], output: str) -> bool:
    try:
        digits, numbers = [float(character) for character in output], [float(line) for line in lines]
    except ValueError:
        return False
    return len(digits) == len(numbers) and all(map(_close, numbers, digits))


def _close(wanted: float, got: float) -> bool:
    """As `numpy.allclose` by default."""
    return math.isfinite(wanted) and abs(wanted - got) <= 1e-8 + 1e-5 * abs(wanted)


def _same_sets(lines: list[str], output: str, read: Callable) -> bool:
    try:
        wanted = {frozenset(map(read, line.split())) for line in lines}
        return wanted == {frozenset(map(read, word)) for word in output.split()}
    except ValueError:
        return False


def _rounded(text: str) -> float:
    return round(float(text), 3)


def passes_value(expected: Any, tagged: Any) -> bool:
    """Whether a returned value, in tagged form, is right (`process_input_output`, `execute_cb_code`).

    It must equal the expected value, or the first element of an expected list, by Python's `==`: floats exactly. A
    tuple counts as a list; tuples in a list do so only when compared with the first expected element. Dictionary keys
    become integers again at the top level only. Comparing an array raises an exception, so it is right.
    """
    try:
        got = untag(tagged, lambda name: _Array() if name == "ndarray" else object())
    except (TypeError, ValueError, RecursionError):  # not in tagged form: the program forged it
        return False
    if isinstance(expected, dict):
        changed = _integer_keys(expected)
        expected = expected if changed is None else [changed]
    elif isinstance(expected, list):
        expected = arguments(expected)
    try:
        return _equal(expected, list(got) if isinstance(got, tuple) else got)
    except (ValueError, RecursionError):
        return True


def _equal(wanted: Any, got: Any) -> bool:
    first = wanted[:1] if isinstance(wanted, list) else []
    if got == wanted or (first and got == first[0]):
        return True
    if first and isinstance(got, list) and got and isinstance(got[0], tuple):
        with suppress(TypeError):  # an element is not a sequence
            return [list(item) for item in got] == first[0]
    return False


class _Array:
    """Stands for a numpy array, which is neither equal nor unequal."""

    __hash__ = None  # type: ignore[reportAssignmentType]  # Python's own way to say "not hashable"

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value of an array is ambiguous")
