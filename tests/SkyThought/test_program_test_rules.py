"""Problems whose tests are a program: it runs on what the answer returned, or after it, and must come to its end."""

import pytest

from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler

CHECK = """
def check(candidate):
    assert candidate(2) == 4
    assert abs(candidate(-3) - 9) < 1e-6, "squares"

check(square)
"""


# As on the Hub, where expected values lie beside the test.
TABLE = """
import numpy as np

def assertion(out, exp):
    if out != exp:
        assert np.allclose(out, exp)

results = [4, 9]
for i, (inp, exp) in enumerate(zip([[2], [-3]], results)):
    assertion(square(*inp), exp)
"""
SOLUTION = "def square(x):\n return x * x"
EQUAL = "class Equal(int):\n __eq__ = __ne__ = lambda self, other: self is not other"


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=1.0) as handler:
        yield handler


def reason(judge, program, test=CHECK, solution=""):
    tests = {"fn_name": "square", "test_program": test, "canonical_solution": solution}
    verdict = judge.judge(program, make_tests(tests))
    assert verdict["correctness"] is (verdict["reason"] == "")
    return verdict["reason"]


@pytest.mark.parametrize("solution", ["", SOLUTION])
def test_a_program_passes_when_the_test_comes_to_its_end(judge, solution):
    assert reason(judge, "def square(x):\n return x * x", solution=solution) == ""
    assert reason(judge, "def square(x):\n return x + 2", solution=solution) == "wrong answer"
    assert reason(judge, "def square(x):\n return x // 0", solution=solution) == "runtime error: ZeroDivisionError"
    missing = "missing function" if solution else "runtime error: NameError"
    assert reason(judge, "def other(x):\n return x * x", solution=solution) == missing
    assert reason(judge, "def square(x:", solution=solution) == "syntax error"


def test_a_program_that_does_not_end_fails():
    with TACOTaskHandler(timeout=0.02) as judge:
        assert reason(judge, "def square(x):\n while True: pass", solution=SOLUTION) == "time limit"


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit",
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "import sys\ndef square(x):\n sys.exit(0)",
        "import os\ndef square(x):\n os._exit(0)",
        "def check(candidate): pass\ndef square(x): return 1",
        "class AssertionError(Exception): pass\ndef square(x): return 1",
        "import builtins\nbuiltins.AssertionError = SystemExit\ndef square(x): return 1",
        "import builtins\nbuiltins.abs = lambda x: 0\ndef square(x): return 4",
        "abs = 0\ndef square(x): return 4",
        "import atexit, os\natexit.register(os._exit, 0)\ndef square(x): return 1",
        "import threading, os\ndef square(x):\n threading.Timer(0, os._exit, [0]).start()\n return 1",
        'import os\nos.write(100, b\'{"error": "none"}\\n\')\nos._exit(0)',
        "import os, sys\ndef square(x):\n if os.fork(): os._exit(0)\n return 1",
        "import sys\nsys.settrace(lambda *a: None)\ndef square(x): return 1",
        "from dataclasses import dataclass\n@dataclass\nclass Square:\n x: int\nsquare = Square",
    ],
)
@pytest.mark.parametrize("solution", ["", SOLUTION])
def test_a_program_that_ends_early_or_replaces_what_the_test_uses_does_not_pass(judge, program, solution):
    assert reason(judge, program, solution=solution) != ""


@pytest.mark.parametrize(
    "program",
    [
        f"{EQUAL}\ndef square(x): return Equal(1)",
        "import sys\ndef square(x): return sys._getframe(1).f_locals.get('exp')",
        "import sys\ndef square(x): return sys._getframe(1).f_globals['results'][x < 0]",
        "import os\nos.write(100, b'{\"value\": null}\\n')\ndef square(x): return 1",
        "import os\nos.write(100, b'{\"value\": true}\\n' * 3)\nos._exit(0)",
        "import os\ndef square(x):\n os.write(100, b'{\"value\": true}\\n')\n os._exit(0)",
        "import numpy\nnumpy.allclose = lambda *each, **more: True\ndef square(x): return 1",
        "import sys\nfor module in [*sys.modules.values()]:\n module.compile = lambda *each, **more: print.__doc__\n"
        "def square(x): return 1",
        "import os, re\nresults = re.search(rb'results = (.*)', os.pread(101, 9999, 0))\n"
        "def square(x): return eval(results[1])[x < 0]",
    ],
)
def test_no_program_passes_that_knows_the_test_or_equals_everything(judge, program):
    assert reason(judge, program, TABLE, SOLUTION) != ""


REFUSES = "try:\n square('a')\n assert False\nexcept TypeError: pass\n"  # so no test that begins with it is replayed


@pytest.mark.parametrize(
    "program",
    [
        "class Equal:\n __eq__ = lambda self, other: True\n__value = Equal()",
        "class Equal(int):\n __ne__ = lambda self, other: False\n__value = Equal()",
        "from unittest.mock import ANY\n__value = ANY",
        "class Equal:\n __eq__ = lambda self, other: isinstance(other, int)\n__value = Equal()",
        "import numpy\nnumpy.allclose = lambda *each: True\n__value = 1",
        "import os\nos.write(100, b'{\"value\": null}\\n')\nos._exit(0)",
    ],
)
def test_no_program_passes_a_test_in_its_own_process_by_what_equals_everything(judge, program):
    program += "\ndef square(x):\n if isinstance(x, str): raise TypeError\n return __value"
    assert reason(judge, program, REFUSES + TABLE) != ""


def test_values_with_their_own_comparison_may_pass_a_test_in_their_process(judge):
    own = "class Own:\n __eq__ = lambda self, other: self.x == other.x\n x = 4\n"
    values = "[numpy.array([4]), numpy.float64(4), Fraction(4), Own()], Counter(a=4), Own()"
    program = f"import numpy\nfrom fractions import Fraction\nfrom collections import Counter\n{own}"
    program += f"def square(x):\n if isinstance(x, str): raise TypeError\n return ({values})[x]"
    test = f"{REFUSES}assert [square(n) for n in (0, 1, 2)] and square(2).x == 4"
    assert reason(judge, program, test) == ""


def test_a_programs_own_names_are_not_those_of_the_test(judge):
    own = "def zip(*each): return 0\nabs = 3\ndef enumerate(x): return x * x\ndef square(x): return enumerate(x)"
    for solution in ("", SOLUTION):
        assert reason(judge, own, TABLE, solution) == ""
        assert reason(judge, own.replace("x * x", "x"), TABLE, solution) == "wrong answer"


@pytest.mark.parametrize(
    ("test", "program"),
    [
        ("assert set(square(2)) == {0, 1}", "def square(x): return (each for each in range(x))"),
        ("assert set(square(2)) == {0, 1}", "def square(x): return range(x)"),
        ("assert square(x=2) == 4", SOLUTION),
        ("values = [2]\nsquare(values)\nassert values == [4]", "def square(x): x[0] *= x[0]"),
        ("assert square(len) == 3", "def square(x): return x('abc')"),
        ("import random\nn = random.random()\nassert square(n) == n * n", SOLUTION),
        ("import os\nn = len(os.urandom(3)) + os.urandom(1)[0]\nassert square(n) == n * n", SOLUTION),
        ("try:\n square(-1)\n assert False\nexcept ValueError: pass", "def square(x):\n raise ValueError"),
        ("assert square(3) == 9", "def square(x): return x + x + square(x - 1) - 1 - (x - 1) * 0 if x > 3 else x * x"),
        ("square(2)\nassert square.calls == 1", "def square(x):\n square.calls = 1\n return x"),
        ("square(2)\nsquare.cache_clear()", f"import functools\n@functools.lru_cache\n{SOLUTION}"),
        ("import inspect\nassert [*inspect.signature(square).parameters] == ['x'] and square(2)", SOLUTION),
        ("assert square(3) == helper(3)", "def helper(x): return 3 * x\n" + SOLUTION),
        ("assert square(square(2)) == 16", SOLUTION),
        ("assert (square(np.float64(1.5)) == 2.25).all()", "import numpy as np\n" + SOLUTION),
    ],
)
def test_a_right_program_passes_also_a_test_that_cannot_be_replayed(judge, test, program):
    assert reason(judge, program, test, program) == ""


def test_a_right_value_other_than_the_solutions_may_lead_a_test_to_other_calls(judge):
    test, solution = "n = square(2)\nassert n in (1, 5) and square(n) in (1, 5)", "def square(x): return 1"
    assert reason(judge, "def square(x): return 5", test, solution) == ""
    assert reason(judge, "def square(x): return 5 if x == 2 else 4", test, solution) == "wrong answer"


def test_a_test_may_use_a_helper_of_the_solution(judge):
    solution = f"def double(x): return 2 * x\n{SOLUTION}"
    assert reason(judge, SOLUTION, "assert square(2) == double(2)", solution) == ""


def test_the_test_has_the_programs_names_and_no_others(judge):
    assert reason(judge, "def helper(x):\n return x\ndef square(x):\n return x", "assert helper(3) == 3") == ""
    assert reason(judge, "def square(x): return x", "Counter") == "runtime error: NameError"
    assert reason(judge, "def square(x): return x", "import numpy as np\nassert np.allclose(square(0.1), 0.1)") == ""
    assert reason(judge, "if __name__ == '__main__': 1 / 0\ndef square(x): return x", "assert square(1)") == ""


@pytest.mark.parametrize("test", ["", " \n", None, 3])
def test_a_problem_without_a_test_is_not_judged(judge, test):
    verdict = judge.judge("def square(x): return x", make_tests({"fn_name": "square", "test_program": test}))
    assert (verdict["correctness"], verdict["reason"]) == (None, "not judged: its problem has no tests")


@pytest.mark.parametrize("solution", ["", SOLUTION])
@pytest.mark.parametrize("value", ["[]", "()", "[[]]"])
def test_an_empty_list_is_not_close_to_a_number(judge, value, solution):
    program = f"def square(x): return {value}"
    assert reason(judge, program, TABLE, solution) == "wrong answer"
    empty = "import numpy\nassert numpy.allclose(square([]), [])"
    assert reason(judge, "def square(x): return []", empty, solution and "def square(x): return x") == ""


CASES = "import unittest\nclass Cases(unittest.TestCase):\n def test_it(self): self.assertEqual(square(2), 4)\n"
RUN = "unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Cases))"


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        ("def check(candidate):\n assert candidate(2) == 4", "pass with any function"),
        ("def test_it():\n assert square(2) == 4", "pass with any function"),
        (CASES, "pass with any function"),
        (f"{CASES}if __name__ == '__main__': unittest.main()", "pass with any function"),
        (CASES + RUN, "pass with any function"),
        (f"{CASES}unittest.main()", "end by sys.exit"),
        ("assert square(2) ==", "do not compile"),
        ("import no_such_package\nassert square(2) == 4", "cannot import"),
    ],
)
@pytest.mark.parametrize("solution", ["", SOLUTION])
@pytest.mark.parametrize("program", [SOLUTION, "def square(x): return x"])
def test_nothing_is_judged_by_a_test_that_calls_nothing_or_cannot_run(judge, test, fault, solution, program):
    tests = {"fn_name": "square", "test_program": test, "canonical_solution": solution}
    verdict = judge.judge(program, make_tests(tests))
    assert verdict["correctness"] is None
    assert verdict["reason"].startswith(f"not judged: its problem's tests {fault}")


@pytest.mark.parametrize("solution", ["", SOLUTION])
@pytest.mark.parametrize(
    "test",
    [
        f"{CASES}assert {RUN}.wasSuccessful()",
        "try:\n square('a')\nexcept TypeError: pass\nassert square(2) == 4",
        "import sys\nif square(2) != 4: sys.exit(1)",
    ],
)
def test_a_test_that_reports_a_wrong_function_in_its_own_way_is_sound(judge, test, solution):
    assert reason(judge, SOLUTION, test, solution) == ""
    assert reason(judge, "def square(x): return x * 1", test, solution) not in ("", "not judged")


def test_a_test_program_without_a_function_name_is_checked_too(judge):
    for test, right in (("assert square(2) == 4", True), ("def test_it(): assert square(2) == 4", None)):
        assert judge.judge(SOLUTION, make_tests({"test_program": test}))["correctness"] is right


def test_a_test_that_ends_by_sys_exit_is_found_by_the_problems_solution(judge):
    test = "import sys\nassert square(2) == 4\nsys.exit(0)"
    tests = make_tests({"fn_name": "square", "test_program": test, "canonical_solution": SOLUTION})
    for program in (SOLUTION, "def square(x): return x"):
        assert judge.judge(program, tests)["correctness"] is None
    test = "import sys\ntry:\n assert square(2) == 4\nexcept AssertionError: sys.exit(1)"
    assert reason(judge, SOLUTION, test, SOLUTION) == ""
    assert reason(judge, "def square(x): return x", test, SOLUTION) == "runtime error: SystemExit"


def test_the_papers_checker_has_no_rules_for_it():
    with TACOTaskHandler(reference_rules=True) as judge:
        verdict = judge.judge("def square(x): return x", make_tests({"fn_name": "square", "test_program": CHECK}))
    assert verdict["correctness"] is None and "the paper's checker has no rules" in verdict["reason"]
