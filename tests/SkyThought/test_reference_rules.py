"""The rules of the paper's checker: each rule and bug on a hand-worked case, and the checker's own verdicts."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from judging import answer
from scripts import EVERY, TACO_REAL

from hindsight.text.uniform_format import render
from SkyThought import reference_rules as rules
from SkyThought.sandbox import prelude
from SkyThought.sandbox.report import tag
from SkyThought.taco import TACOTaskHandler

# Comparing texts


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("1 2\n3\n", "1 2\n3"),
        ("  YES\n\n", "\nYES  "),
        ("", "\n \n"),
        (["1 2", "3"], "1 2\n3\n"),
        ("é".encode(), "é\n"),
    ],
)
def test_white_space_at_both_ends_of_a_text_does_not_count(expected, output):
    assert rules.passes_text(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("10 20 \n30\n", "10 20\n30\n"),
        ("10 20\n30\n", "10 20 \n30\n"),
        ("10  20", "10 20"),
        ("10\n20", "10\n\n20"),
        ("10\r\n20", "10\n20"),
    ],
)
def test_a_space_at_the_end_of_an_inner_line_makes_a_right_answer_wrong(expected, output):
    assert not rules.passes_text(expected, output)


@pytest.mark.parametrize(("expected", "output"), [("0.50", "0.5"), ("yes", "YES"), ("1.0", "1.0000000001"), ("7", "")])
def test_numbers_of_several_characters_have_no_tolerance_and_case_counts(expected, output):
    assert not rules.passes_text(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"), [("1\n2", "12"), ("1.000001\n2e0", "12"), ("0\n 0 \n0", "000"), ("5.00001", "5")]
)
def test_digits_without_a_line_end_are_compared_with_the_lines_one_by_one(expected, output):
    assert rules.passes_text(expected, output)


@pytest.mark.parametrize(("expected", "output"), [("1\n2", "21"), ("1.1\n2", "12\n"), ("inf", "1"), ("nan", "1")])
def test_digits_that_are_not_the_lines_are_wrong(expected, output):
    assert not rules.passes_text(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("1\n2\n2", "2\n1"),
        ("1", "11 1"),
        ("1 2", "12\n"),
        ("1 2", "2211 21\n"),
        ("Y\nN", "N\nY\nN"),
        ("# .\n", ".#.#\n"),
    ],
)
def test_words_of_one_character_are_compared_as_sets_so_order_and_number_do_not_count(expected, output):
    assert rules.passes_text(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"), [("12", "21"), ("ab", "ba"), ("1\n2", "1"), ("1 2", "1 2"), ("1\n \n2", "2\n1")]
)
def test_longer_words_and_other_sets_are_wrong(expected, output):
    assert rules.passes_text(expected, output) == (expected == output)


@pytest.mark.parametrize(("expected", "output"), [("5.0", "5\n"), ("1.0002 2", "12\n"), ("05", "5\n5\n")])
def test_digits_are_compared_with_words_as_sets_of_numbers_to_three_places(expected, output):
    assert rules.passes_text(expected, output)


@pytest.mark.parametrize(("expected", "output"), [("5", "5.0\n"), ("1.001", "1\n"), ("10", "10.\n")])
def test_an_output_with_a_point_is_not_a_set_of_numbers(expected, output):
    assert not rules.passes_text(expected, output)


# Comparing values


def passes(expected, returned) -> bool:
    """Whether a returned value passes, in the form that a child sends."""
    return rules.passes_value(json.loads(json.dumps(expected)), json.loads(json.dumps(tag(returned))))


@pytest.mark.parametrize(
    ("expected", "returned"),
    [
        ([1, 2], (1, 2)),
        (5, 5.0),
        (True, 1),
        ([7], 7),
        ([[1, 2]], [1, 2]),
        ([1, 2], 1),
        ([[[1, 2], [3, 4]]], [(1, 2), (3, 4)]),
        ([["ab"], 0], [["ab"], 0]),
        ([[["a", "b"], ["c"]]], [("a", "b"), "c"]),
        ({"1": "a"}, {1: "a"}),
        ([{"1": "a"}, "dropped"], {1: "a"}),
        ({"b": 2}, {"b": 2}),
        ({}, {}),
        (None, None),
    ],
)
def test_a_value_is_right_if_it_equals_the_expected_value_or_its_first_item(expected, returned):
    assert passes(expected, returned)


@pytest.mark.parametrize(
    ("expected", "returned"),
    [
        ([[1, 2], [3, 4]], [(1, 2), (3, 4)]),
        ([1, [2, 3]], (1, (2, 3))),
        (0.3, 0.1 + 0.2),
        ({"1": "a"}, {"1": "a"}),
        ([1, 2], [2, 1]),
        ([1, 2], 2),
        ([], [[]]),
        ("ab", "a"),
        ([1, 2], {1, 2}),
        ([[1, 2]], [(1, 2), 3]),
        (float("nan"), float("nan")),
        ({"a": {"1": 2}}, {"a": {1: 2}}),
    ],
)
def test_a_value_is_wrong_if_only_inner_tuples_rounding_or_keys_differ(expected, returned):
    assert not passes(expected, returned)


def test_every_array_is_right_because_comparing_it_raises():
    import numpy

    assert passes([1, 2], numpy.array([3, 4]))
    assert passes([[1, 2]], [numpy.array([3, 4])])
    assert not passes([[1, 2], 5], [numpy.array([3, 4])])


@pytest.mark.parametrize("forged", [["list"], ["list", 3], ["dict", [[["list", []], 1]]], ["dict", 1], []])
def test_a_value_that_is_not_tagged_is_wrong(forged):
    assert not rules.passes_value([1], forged)


def test_a_first_argument_with_integers_as_keys_drops_the_other_arguments():
    assert rules.arguments([{"1": 2}, 5]) == [{1: 2}]
    assert rules.arguments([{"a": 2}, 5]) == [{"a": 2}, 5]
    assert rules.arguments([5, {"1": 2}]) == [5, {"1": 2}]
    assert rules.arguments([]) == []


# Outcomes


def test_a_time_limit_is_an_error_and_after_other_ends_the_output_is_compared():
    assert rules.judge_text("1", "time limit", b"1") is None
    assert rules.judge_text("1", "output limit", b"1") is None
    for reason in ("", "runtime error: exit status 3", "runtime error: SIGSEGV", "memory limit", "syntax error"):
        assert rules.judge_text("1", reason, b"1\n") is True
        assert rules.judge_text("1", reason, b"") is False


def test_output_that_is_not_utf8_is_an_error_and_windows_line_ends_are_line_ends():
    assert rules.judge_text("1", "", b"\xff") is None
    assert rules.judge_text("10\n20", "", b"10\r\n20\r\n") is True


@pytest.mark.parametrize(
    "reason", ["syntax error", "missing function", "time limit", "memory limit", "runtime error: ValueError"]
)
def test_a_call_that_raises_is_an_error_and_one_that_ends_the_checker_fails(reason):
    assert rules.judge_call(1, reason) is None
    assert rules.judge_trial(reason) is None
    for deadly in ("SystemExit", "SIGSEGV", "exit status 0", "KeyboardInterrupt"):
        assert rules.judge_call(1, f"runtime error: {deadly}") is False
    assert rules.judge_call(1, "", 1) is True
    assert rules.judge_call(1, "", 2) is False
    assert rules.judge_trial("") is True


# What is run


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("a\n```python\nx\n```\nb\n```\ny\n```", "y\n"),
        ("```python\nx\n```\nand so on", "x\n"),
        ("```python\n```", ""),
        ("```python3\nx\n```\n", None),
        ("```python3\nx\n```\nwords\n```python3\ny\n```", "words\n"),
        ("```python\nx\n", None),
        ("```python\nx```", "x"),
        ("no code", None),
    ],
)
def test_the_program_is_the_last_block_with_only_letters_at_its_fence(response, code):
    assert rules.find_code(response) == code


def ending(text: str) -> str | None:
    """The name of the exception with which a text ends, run in this process without input; else None."""
    try:
        exec(compile(text, "program.py", "exec", dont_inherit=True), {"__name__": "__main__"})
    except Exception as error:
        return type(error).__name__
    return None


@pytest.mark.parametrize(
    "source",
    [
        "a = int(input())\nprint(a)",
        "raise ValueError",
        "import math\n\nimport no_such_module",
        "return 5",
        "from math import *\nprint(sqrt(4))",
        "x = 1\nfrom math import *",
        "def f(x):\n\treturn x\nif f(1):\n\tprint(1)",
    ],
)
def test_the_trial_runs_only_the_imports_at_the_start(source):
    assert ending(rules.trial(source)) is None


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("print(", "SyntaxError"),
        ("", "IndentationError"),
        ("# only a comment\n", "IndentationError"),
        ("import sys", "NameError"),
        ("import no_such_module\nprint(1)", "ModuleNotFoundError"),
        ("from fractions import gcd\nprint(1)", "ImportError"),
        ("from math import (\n    gcd,\n)\nprint(1)", "SyntaxError"),
        ("# a comment\nfrom __future__ import annotations", "SyntaxError"),
        ("try:\n    from math import *\nexcept ImportError:\n    pass", "IndentationError"),
        ("import sys; raise EOFError\nprint(1)", "EOFError"),
    ],
)
def test_programs_whose_trial_fails_count_as_correct(source, error):
    assert ending(rules.trial(source)) == error


def test_the_prelude_follows_the_first_imports_and_hides_their_names():
    text = rules.program_of("from time import time\nfrom math import *\n\nx = time")
    assert text.startswith("from time import time\nfrom math import *\nimport builtins")
    names: dict = {}
    exec(text, names)
    assert names["x"].__name__ == "time"
    assert type(names["x"]).__name__ == "module"
    assert names["stdin"] is names["sys"].stdin


def test_the_prelude_of_a_function_precedes_it():
    names: dict = {}
    exec(rules.program_of("from time import time\ndef f(): return np, gcd, merge, List", "f"), names)
    assert callable(names["time"])
    assert len(names["f"]()) == 4


def test_calls_share_one_instance_and_a_module_that_ends_itself_is_incorrect():
    tests = {"fn_name": "f", "inputs": [[3], [1]], "outputs": [3, 1]}
    counting = "class Solution:\n def __init__(self): self.n = 0\n def f(self, x):\n  self.n += x\n  return self.n"
    with TACOTaskHandler(reference_rules=True) as judge:
        for program in (counting, "def f(x): return x\nraise SystemExit(0)"):
            assert judge.update_results({"input_output": tests}, answer(program))["correctness"] is False
        assert judge.update_results({"input_output": tests}, answer("def f(x): return x"))["correctness"] is True


def test_a_program_without_statements_is_unchanged():
    assert rules.program_of("import sys\nimport math") == "import sys\nimport math\n"


def test_the_names_of_our_own_prelude_are_undefined():
    import builtins

    ours = set(" ".join([prelude.MODULES, prelude.MORE_MODULES, *prelude.NAMES.values()]).split())
    assert not ours & set(vars(builtins))  # so none of Python's own names is taken away
    builtins.bisect_left = 1
    try:
        assert ending(rules.program_of("bisect_left")) == "NameError"
        assert not hasattr(builtins, "bisect_left")
    finally:
        vars(builtins).pop("bisect_left", None)


# In the judge


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=0.25, memory_mb=2048, reference_rules=True) as handler:
        yield handler


def correct(judge, source, inputs, outputs, function=None) -> bool:
    tests = {"inputs": inputs, "outputs": outputs} | ({"fn_name": function} if function else {})
    response = render("hm", f"```python\n{source}\n```")
    result = judge.update_results({"input_output": json.dumps(tests)}, response)
    assert (result["reason"] == "") == result["correctness"]
    json.dumps(result)
    return result["correctness"]


@pytest.mark.parametrize(
    ("source", "is_correct"),
    [
        ("print(int(input()) * 2)", True),
        ("print(7)", False),
        ("print((", True),
        ("", True),
        ("return", False),
        ("while True: pass", True),
        ("print(int(input()) * 2)\nraise SystemExit(3)", True),
        ("import no_such_module\nprint(7)", True),
        ("\nimport no_such_module\nprint(7)", False),
        ("if int(input()) > 1:\n    while True: pass\nprint(2)", True),
        ("if int(input()) < 2:\n    print(7)\nelse:\n    while True: pass", False),
        ("from time import time\ntime()\nprint(int(input()) * 2)", False),
        ("bisect_left([1], 1)\nprint(int(input()) * 2)", False),
        ("import sys\nsys.stdout.buffer.write(b'\\xff')", True),
    ],
)
def test_the_judge_of_standard_input_follows_these_rules(judge, source, is_correct):
    assert correct(judge, source, ["1\n", "30\n"], ["2\n", "60\n"]) is is_correct


@pytest.mark.parametrize(
    ("source", "is_correct"),
    [
        ("def f(x): return 2 * x", True),
        ("def f(x): return 7", False),
        ("def f(x: return 7", True),
        ("def g(x): return 7", True),
        ("class Solution:\n    def f(self, x): return 2 * x", True),
        ("def f(x): raise ValueError", True),
        ("def f(x):\n    while True: pass", True),
        ("def f(x):\n    if x > 1: raise ValueError\n    return 2", True),
        ("def f(x):\n    if x > 1: raise ValueError\n    return 7", False),
        ("import sys\ndef f(x): sys.exit()", False),
        ("def f(x): return (bisect_left([1], 1) + 1) * 2 * x", True),
        ("def f(x): return np.array([x, x, x])", True),
    ],
)
def test_the_judge_of_functions_follows_these_rules(judge, source, is_correct):
    assert correct(judge, source, [[1], [30]], [2, 60], "f") is is_correct


def test_an_answer_without_code_is_incorrect(judge):
    problem = {"input_output": json.dumps({"inputs": ["1"], "outputs": ["2"]})}
    assert judge.update_results(problem, "The answer is 2.")["correctness"] is False
    assert judge.update_results(problem, "In the thought:\n```python\nprint(2)\n```\n")["correctness"] is True


@pytest.mark.slow
@pytest.mark.skipif(not TACO_REAL.is_dir(), reason=f"the real programs are not in {TACO_REAL}")
def test_verdicts_equal_the_papers_checkers_on_programs_that_it_judged():
    """On every twelfth of the 308; all with HINDSIGHT_EVERY=1."""
    problems = {row["task_id"]: row for row in _rows("stdin_problems.jsonl")}
    samples = [sample for sample in _rows("stdin_samples.jsonl") if sample["reference"] is not None]
    assert len(samples) == 308
    samples = samples[:: min(12, EVERY)]

    def differing(share: list[dict]) -> list[tuple]:
        with TACOTaskHandler(reference_rules=True) as judge:
            return [
                (sample["question_id"], sample["sample_index"], sample["kind"])
                for sample in share
                if judge.update_results(problems[sample["question_id"]], sample["converted_text"])["correctness"]
                is not sample["reference"]["correctness"]
            ]

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(differing, (samples[::2], samples[1::2]))) == [[], []]


def _rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (TACO_REAL / name).read_text().splitlines()]
