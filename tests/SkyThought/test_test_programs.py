"""Problems whose tests are a program: it runs after the answer's program, and must come to its end."""

import pytest

from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler

CHECK = """
def check(candidate):
    assert candidate(2) == 4
    assert abs(candidate(-3) - 9) < 1e-6, "squares"

check(square)
"""


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=1.0) as handler:
        yield handler


def reason(judge, program, test=CHECK):
    verdict = judge.judge(program, make_tests({"fn_name": "square", "test_program": test}))
    assert verdict["correctness"] is (verdict["reason"] == "")
    return verdict["reason"]


def test_a_program_passes_when_the_test_comes_to_its_end(judge):
    assert reason(judge, "def square(x):\n return x * x") == ""
    assert reason(judge, "def square(x):\n return x + 2") == "wrong answer"
    assert reason(judge, "def square(x):\n return x // 0") == "runtime error: ZeroDivisionError"
    assert reason(judge, "def other(x):\n return x * x") == "runtime error: NameError"
    assert reason(judge, "def square(x:") == "syntax error"
    assert reason(judge, "def square(x):\n while True: pass") == "time limit"


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
def test_a_program_that_ends_early_or_replaces_what_the_test_uses_does_not_pass(judge, program):
    assert reason(judge, program) != ""


def test_the_test_has_the_programs_names_and_no_others(judge):
    assert reason(judge, "def helper(x):\n return x\ndef square(x):\n return x", "assert helper(3) == 3") == ""
    assert reason(judge, "def square(x): return x", "Counter") == "runtime error: NameError"
    assert reason(judge, "def square(x): return x", "import numpy as np\nassert np.allclose(square(0.1), 0.1)") == ""
    assert reason(judge, "if __name__ == '__main__': 1 / 0\ndef square(x): return x", "assert square(1)") == ""


@pytest.mark.parametrize("test", ["", " \n", None, 3])
def test_a_problem_without_a_test_is_not_judged(judge, test):
    verdict = judge.judge("def square(x): return x", make_tests({"fn_name": "square", "test_program": test}))
    assert (verdict["correctness"], verdict["reason"]) == (None, "not judged: its problem has no tests")


def test_the_papers_checker_has_no_rules_for_it():
    with TACOTaskHandler(reference_rules=True) as judge:
        verdict = judge.judge("def square(x): return x", make_tests({"fn_name": "square", "test_program": CHECK}))
    assert verdict["correctness"] is None and "the paper's checker has no rules" in verdict["reason"]
