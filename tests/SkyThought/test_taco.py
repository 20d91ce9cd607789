"""The judge's verdicts on toy programs, each of which does one thing, and on the real ones of `shared/taco_real`."""

import json
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
from judging import answer, judged, reason
from scripts import EVERY, TACO_REAL

from hindsight.text.uniform_format import render
from SkyThought.sandbox.layers import LAYERS
from SkyThought.taco import TACOTaskHandler

# What one program of the set printed when its expected outputs were made is a traceback of its own crash, with the
# file name "<string>" of that run: no program can print that again.
REAL_WITHOUT_A_RIGHT_ANSWER = {("stdin", 716, 0), ("stdin", 716, 5)}
FEWER = 1 if EVERY == 1 else 4 * EVERY


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=1.0, memory_mb=1024) as handler:
        yield handler


# Verdicts


def test_a_right_program_is_correct_and_says_what_each_test_took(judge):
    result = judged(judge, "print(int(input()) * 2)", ["1\n", "2\n"], ["2\n", "4\n"])
    assert [(test["index"], test["passed"]) for test in result["tests"]] == [(0, True), (1, True)]
    assert all(0 < test["seconds"] < 1 for test in result["tests"])
    assert result["content"] == answer("print(int(input()) * 2)")


def test_tests_stop_at_the_first_failure_which_is_shown_cut_short(judge):
    result = judged(judge, "print('x' * 5000)", ["a", "b"], ["y", "z"])
    assert result["reason"] == "wrong answer"
    assert len(result["tests"]) == 1
    failed = result["tests"][0]
    assert (failed["input"], failed["expected"], failed["output"]) == ("a", "y", "x" * 1000)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_an_input_may_be_a_list_of_lines_with_or_without_their_ends(judge, end):
    lines = [f"1{end}", f"2{end}", "3"]
    assert reason(judge, "print([input() for _ in '123'])\nprint(input())", [lines], [""]) == "runtime error: EOFError"
    assert reason(judge, "print(*[input() for _ in '123'], sep='')", [lines], [["123"]]) == ""


def test_an_answer_without_code_has_none(judge):
    problem = {"input_output": {"inputs": [""], "outputs": [""]}}
    for response in (render("Hm.", "I cannot."), render("Hm.", "```python\n\n```"), ""):
        result = judge.update_results(problem, response)
        assert (result["correctness"], result["reason"], result["tests"]) == (False, "no code", [])


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (None, "its problem has no tests"),
        ("", "its problem has no tests"),
        ({}, "its problem has no tests"),
        ("not JSON", "its problem's tests are not JSON"),
        ("[1]", "its problem's tests have no list of inputs or of outputs"),
        ({"inputs": [{"1": 2}], "outputs": ["1"]}, "its problem's tests have inputs or outputs that are not text"),
        ({"inputs": [], "outputs": []}, "its problem's tests have 0 inputs and 0 outputs"),
        ({"inputs": ["1"], "outputs": []}, "its problem's tests have 1 inputs and 0 outputs"),
        ({"inputs": [1], "outputs": ["1"]}, "its problem's tests have inputs or outputs that are not text"),
        ({"inputs": ["1"], "outputs": [[["1"]]]}, "its problem's tests have inputs or outputs that are not text"),
        (
            {"inputs": ["1"], "outputs": ["1"], "fn_name": "f"},
            "its problem's tests have inputs that are not lists of arguments",
        ),
        (
            {"inputs": [[1]], "outputs": ["1"], "fn_name": 3},
            "its problem's tests have a function name that is not text",
        ),
    ],
)
def test_a_problem_with_no_tests_or_malformed_ones_is_not_judged_and_says_why(judge, tests, why):
    result = judge.update_results({"input_output": tests}, answer("print(1)"))
    assert (result["correctness"], result["reason"]) == (None, f"not judged: {why}")


@pytest.mark.parametrize("program", ["print(1", "x = '\0'", "return 1", "(" * 500 + ")" * 500])
def test_what_does_not_compile_is_a_syntax_error(judge, program):
    assert reason(judge, program, "", "1") == "syntax error"


def test_a_program_that_fails_after_the_right_output_is_a_runtime_error(judge):
    assert reason(judge, "print(1); raise SystemExit(3)", "", "1") == "runtime error: exit status 3"
    assert reason(judge, "print(1); raise SystemExit('no')", "", "1") == "runtime error: exit status 1"
    assert reason(judge, "print(1); 1 / 0", "", "1") == "runtime error: ZeroDivisionError"
    assert reason(judge, "print(1, flush=True); import os; os.abort()", "", "1") == "runtime error: SIGABRT"


@pytest.mark.parametrize(
    ("body", "named"), [("1 / 0", "runtime error: ZeroDivisionError"), ("[0] * 10**10", "memory limit")]
)
def test_a_thread_that_dies_is_no_failure_but_explains_a_wrong_answer(judge, body, named):
    """Python's exit status is 0 then."""
    program = (
        f"import threading\nprint(1)\nthread = threading.Thread(target=lambda: {body})\nthread.start()\nthread.join()"
    )
    assert reason(judge, program, "", "1") == ""
    assert reason(judge, program, "", "2") == named
    assert reason(judge, f"{program}\nraise SystemExit(3)", "", "1") == "runtime error: exit status 3"
    call = program.replace("print(1)", "def f(x):\n return x")
    assert reason(judge, call, [[1]], [1], "f") == ""


def test_an_uncaught_exception_is_named_even_when_the_program_closed_every_file(judge):
    assert reason(judge, "import os; os.closerange(0, 200); 1 / 0", "", "1") == "runtime error: exit status 1"


def test_half_an_answer_with_a_good_exit_status_is_a_wrong_answer(judge):
    assert reason(judge, "import os; print(1, flush=True); os._exit(0); print(2)", "", "1\n2") == "wrong answer"


def test_what_is_not_flushed_is_lost_in_os_exit_and_only_there(judge):
    assert reason(judge, "import os; print(1); os._exit(0)", "", "1") == "wrong answer"
    assert reason(judge, "print(1)", "", "1") == ""
    assert reason(judge, "out = open(1, 'w'); out.write('1')", "", "1") == ""
    assert reason(judge, "import sys, io; sys.stdout.write('1'); sys.stdout = io.StringIO()", "", "1") == ""
    assert reason(judge, "import atexit; atexit.register(lambda: print(1))", "", "1") == ""
    assert reason(judge, "import sys; print(1); sys.stdout.flush(); sys.stdout.close()", "", "1") == ""
    assert reason(judge, "import sys; print(1); del sys.stdout", "", "1") == ""


def test_what_c_code_printed_is_flushed_at_the_end_after_pythons_own_output(judge):
    program = "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.printf(b'%d\\n', int(input()) * 2)\nlibc.puts(b'end')\n"
    assert reason(judge, program, "4", "8\nend") == ""
    assert reason(judge, f"{program}print('first')", "4", "first\n8\nend") == ""
    assert reason(judge, f"{program}import sys; sys.exit(0)", "4", "8\nend") == ""
    assert reason(judge, f"{program}import os; os._exit(0)", "4", "8\nend") == "wrong answer"
    hidden = "import numpy.ctypeslib\nvars(numpy.ctypeslib)['c' + 'types'].CDLL(None).puts(b'8')"
    assert reason(judge, hidden, "", "8") == ""


def test_objects_are_deleted_at_the_end_with_their_globals_in_place(judge):
    program = "count = 3\nclass A:\n def __del__(self): print(count, 'deleted')\na = A()\nprint('end')\n"
    assert reason(judge, program, "", "end 3 deleted") == ""
    assert reason(judge, f"{program}a.itself = a", "", "end 3 deleted") == ""
    assert reason(judge, f"{program}import sys; sys.exit(0)", "", "end 3 deleted") == ""
    assert reason(judge, f"{program}import os; os._exit(0)", "", "end 3 deleted") == "wrong answer"
    generator = "def count():\n try: yield\n finally: print('closed')\nfirst = count()\nnext(first)"
    assert reason(judge, generator, "", "closed") == ""
    assert reason(judge, "class A:\n def __del__(self): 1 / 0\na = A()\nprint('end')", "", "end") == ""


def test_a_missing_function_is_said_to_be_missing(judge):
    assert reason(judge, "def g(): return 1", [[]], [1], "f") == "missing function"
    assert reason(judge, "def g(): return 1", [[4, 6]], [2], "gcd") == "missing function"
    assert reason(judge, "class Solution:\n def g(self): return 1", [[]], [1], "f") == "missing function"
    assert reason(judge, "f = 3", [[]], [1], "f") == "missing function"


# Calls


def test_functions_and_methods_are_called_with_any_number_of_arguments(judge):
    assert reason(judge, "def f(*a): return len(a)", [[], [1], [1, [2], {"a": 3}]], [0, 1, 3], "f") == ""
    assert reason(judge, "class Solution:\n def f(self, a, b): return a - b", [[5, 3]], [2], "f") == ""
    assert reason(judge, "f = lambda a: a", [[1]], [1], "f") == ""
    assert reason(judge, "def f(a): return a", [[1, 2]], [1], "f") == "runtime error: TypeError"


def test_state_stays_between_the_calls_of_one_program_and_not_between_programs(judge):
    program = "seen = []\ndef f(x):\n seen.append(x)\n return len(seen)"
    for _ in range(2):
        assert reason(judge, program, [[0], [0]], [1, 2], "f") == ""


@pytest.mark.parametrize(
    "program",
    [
        "class Solution:\n def __init__(self): self.n = 0\n def f(self, x):\n  self.n += x\n  return self.n",
        "class Base:\n def __init__(self): self.n = 0\n def f(self, x):\n  self.n += x\n  return self.n\n"
        "class Solution(Base): pass",
        "class Solution:\n def f(self, x):\n  self.seen = getattr(self, 'seen', []) + [x]\n  return sum(self.seen)",
        "class Solution:\n @staticmethod\n def f(x): return x",
    ],
)
def test_each_call_of_a_method_has_a_new_instance(judge, program):
    assert reason(judge, program, [[3], [1]], [3, 1], "f") == ""


def test_the_state_of_a_class_and_of_the_module_stays_from_call_to_call(judge):
    of_class = "class Solution:\n n = 0\n def f(self, x):\n  Solution.n += x\n  return Solution.n"
    of_module = "seen = []\nclass Solution:\n def f(self, x):\n  seen.append(x)\n  return sum(seen)"
    for program in (of_class, of_module):
        assert reason(judge, program, [[3], [1]], [3, 4], "f") == ""
        assert reason(judge, program, [[3], [1]], [3, 1], "f") == "wrong answer"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("import sys; sys.exit(0)", ""),
        ("exit()", ""),
        ("def main(): raise SystemExit\nmain()", ""),
        ("import sys; sys.exit(1)", "runtime error: SystemExit"),
        ("import sys; sys.exit('bad input')", "runtime error: SystemExit"),
    ],
)
def test_a_module_may_end_itself_well_once_it_has_defined_the_function(judge, end, expected):
    assert reason(judge, f"def f(x): return x\n{end}", [[1], [2]], [1, 2], "f") == expected
    assert reason(judge, f"{end}\ndef f(x): return x", [[1]], [1], "f") == "runtime error: SystemExit"
    assert reason(judge, "def f(x): exit(0)", [[1]], [1], "f") == "runtime error: SystemExit"


@pytest.mark.parametrize(
    ("argument", "body", "value"),
    [
        ({"2": "abc"}, "a[2]", "abc"),
        ({"2": "abc"}, "a['2']", "abc"),
        ({"1": {"2": 3}}, "a[1][2]", 3),
        ({"1": {"2": 3}}, "a['1']['2']", 3),
        ({"1": {"2": 3}}, "a[1]['2']", 3),  # TACO's own rule
        ([[{"7": 1}]], "a[0][0][7]", 1),
        ({"1": 5, "a": 6}, "a[1] + a['a']", 11),
        ({"1.5": 1, "-2.0": 2}, "a[1.5] + a[-2.0]", 3),
        ({"true": 1, "null": 2}, "a[True] + a[None]", 3),
        ({"true": 1, "null": 2}, "a['true'] + a['null']", 3),
        ({"007": 1}, "a['007']", 1),
    ],
)
def test_keys_of_an_argument_are_read_as_text_or_as_what_json_made_text_of(judge, argument, body, value):
    program = f"calls = []\ndef f(a, n):\n calls.append(n)\n return [{body}, len(calls)]"
    assert reason(judge, program, [[argument, 1], [argument, 2]], [[value, 1], [value, 2]], "f") == ""
    assert reason(judge, program, [[argument, 1]], [[value, 2]], "f") == "wrong answer"


def test_one_reading_of_the_keys_holds_for_all_tests(judge):
    program = "calls = []\ndef f(a):\n calls.append(1)\n return a[2 if len(calls) == 1 else '2']"
    assert reason(judge, program, [[{"2": 5}], [{"2": 5}]], [5, 5], "f") == "runtime error: KeyError"


def test_in_a_problem_of_real_numbers_an_integer_may_be_answered_as_the_equal_decimal(judge):
    program = "n = int(input())\nprint(n / 2)"
    assert reason(judge, program, ["7", "4"], ["3.5", "2"]) == ""
    assert reason(judge, program, ["6", "4"], ["3", "2"]) == "wrong answer"
    assert reason(judge, "n = int(input())\nprint(n / 2 + (n == 4))", ["7", "4"], ["3.5", "2"]) == "wrong answer"


def test_tuples_are_lists_and_keys_are_as_json_writes_them(judge):
    assert reason(judge, "def f(): return (1, [(2, (3,))])", [[]], [[1, [[2, [3]]]]], "f") == ""
    assert reason(judge, "def f(): return {1: (2,)}", [[]], [{"1": [2]}], "f") == ""
    assert reason(judge, "def f(d): return d[1] + sum(d)", [[{"1": 2, "3": 4}]], [6], "f") == ""
    assert reason(judge, "def f(d): return d['a']", [[{"a": 2}]], [2], "f") == ""


def test_a_value_wrapped_by_taco_is_accepted_for_all_tests_or_none(judge):
    outputs = [[3], [4]]
    assert reason(judge, "def f(x): return x", [[3], [4]], outputs, "f") == ""
    assert reason(judge, "def f(x): return [x]", [[3], [4]], outputs, "f") == ""
    assert reason(judge, "def f(x): return x if x == 3 else [x]", [[3], [4]], outputs, "f") == "wrong answer"
    assert reason(judge, "def f(x): return x", [[3], [4]], [[3], [4, 5]], "f") == "wrong answer"
    assert reason(judge, "def f(x): return 3", [[3]], [[3, 4]], "f") == "wrong answer"


def test_objects_that_claim_to_equal_everything_are_wrong(judge):
    program = "class Any:\n def __eq__(self, other): return True\ndef f(): return Any()"
    result = judged(judge, program, [[]], [1], "f")
    assert result["reason"] == "wrong answer"
    assert result["tests"][0]["output"] == "<Any object>"


def test_what_a_function_prints_and_its_main_guard_do_not_matter(judge):
    program = "print('x' * 10**6)\ndef f(x):\n print(x)\n return x\nif __name__ == '__main__':\n raise SystemExit(1)"
    assert reason(judge, program, [[1], [2]], [1, 2], "f") == ""


def test_a_function_that_ends_the_program_is_a_runtime_error(judge):
    assert reason(judge, "def f(): exit()", [[]], [None], "f") == "runtime error: SystemExit"
    assert reason(judge, "import os\ndef f(): os._exit(0)", [[]], [None], "f") == "runtime error: exit status 0"


def test_garbage_in_the_judges_pipe_is_no_verdict_but_wrong(judge):
    for line in ("garbage", "[]", "{}", '{\\"value\\": [\\"list\\", 3]}', '{\\"value\\": [1, 2, 3]}', "[" * 100000):
        program = f'import os\ndef f():\n os.write(100, b"{line}\\n")\n return 1'
        assert judged(judge, program, [[], []], [[1], [2]], "f")["correctness"] is False


def test_several_judges_work_side_by_side():
    def judge_many(number: int) -> list[str]:
        with TACOTaskHandler() as judge:
            return [reason(judge, f"print({number})", "", str(k)) for k in range(4)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(judge_many, range(4)))
    assert results == [["" if k == number else "wrong answer" for k in range(4)] for number in range(4)]


# Real programs


def real_rows() -> list[tuple[str, dict, dict]]:
    rows = []
    for kind in ("stdin", "call"):
        problems = [json.loads(line) for line in (TACO_REAL / f"{kind}_problems.jsonl").read_text().splitlines()]
        by_id = {problem["task_id"]: problem for problem in problems}
        samples = [json.loads(line) for line in (TACO_REAL / f"{kind}_samples.jsonl").read_text().splitlines()]
        rows += [(kind, by_id[sample["question_id"]], sample) for sample in samples]
    return rows


@pytest.mark.slow
@pytest.mark.skipif(not TACO_REAL.is_dir(), reason=f"the real programs are not there: {TACO_REAL}")
@pytest.mark.parametrize(
    ("workers", "layers", "step"),
    [(4, LAYERS, EVERY), (1, LAYERS, FEWER), (4, LAYERS[1:], FEWER), (1, LAYERS[1:], FEWER)],
    ids=["4 workers", "1 worker", "4 workers without namespaces", "1 worker without namespaces"],
)
def test_every_real_program_gets_its_known_verdict(workers, layers, step):
    """Every 27th of the 1,140 real programs in one way, fewer in the others; all with HINDSIGHT_EVERY=1."""
    judges: SimpleQueue = SimpleQueue()
    for _ in range(workers):
        judges.put(TACOTaskHandler(layers=layers))

    def judge_row(row: tuple[str, dict, dict]) -> tuple | None:
        kind, problem, sample = row
        judge = judges.get()
        result = judge.update_results(problem, sample["converted_text"])
        judges.put(judge)
        name = (kind, sample["question_id"], sample["sample_index"])
        if result["correctness"] is sample["truth"] or name in REAL_WITHOUT_A_RIGHT_ANSWER:
            return None
        return (*name, sample["why"], result["reason"], result["tests"][-1:])

    rows = real_rows()[::step]
    with ThreadPoolExecutor(workers) as pool:
        wrong = [row for row in pool.map(judge_row, rows) if row is not None]
    for _ in range(workers):
        judges.get().close()
    assert wrong == []
