"""The judge on toy programs, each of which does one thing, and on the real programs of `shared/taco_real`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import pytest

from hindsight.formats import render
from SkyThought import prelude
from SkyThought.sandbox import LAYERS
from SkyThought.taco import REASONS, TACOTaskHandler

REAL = Path(__file__).parents[2] / "shared" / "taco_real"
# What one program of the set printed when its expected outputs were made is a traceback of its own crash, with the
# file name "<string>" of that run: no program can print that again.
REAL_WITHOUT_A_RIGHT_ANSWER = {("stdin", 716, 0), ("stdin", 716, 5)}
EVERY = int(os.environ.get("HINDSIGHT_EVERY", "7"))  # 1: all, in every way, which takes five minutes


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=1.0, memory_mb=1024) as handler:
        yield handler


@pytest.fixture(scope="module")
def open_judge():
    """A judge without any layer: what programs start is ended all the same."""
    with TACOTaskHandler(timeout=1.0, memory_mb=1024, layers=(), unsafe=True) as handler:
        yield handler


def answer(program: str) -> str:
    return render("Let me think.", f"```python\n{program}\n```")


def judged(judge, program, inputs="", outputs="", function=None) -> dict:
    """The verdict on a program; one test's input and output, or lists of them."""
    tests = {"inputs": inputs if isinstance(inputs, list) else [inputs]}
    tests["outputs"] = outputs if isinstance(outputs, list) else [outputs]
    if function:
        tests["fn_name"] = function
    result = judge.update_results({"input_output": json.dumps(tests)}, answer(program))
    assert result["reason"] == "" or result["reason"].split(":")[0] in REASONS
    assert result["correctness"] is {"": True, "not judged": None}.get(result["reason"], False)
    json.dumps(result)
    return result


def reason(judge, program, inputs="", outputs="", function=None) -> str:
    return judged(judge, program, inputs, outputs, function)["reason"]


def running(what: str) -> list[int]:
    """Processes whose command line has these words in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += [int(entry.name)] if what in command else []
    return found


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


def test_an_answer_without_code_has_none(judge):
    problem = {"input_output": {"inputs": [""], "outputs": [""]}}
    for response in (render("Hm.", "I cannot."), render("Hm.", "```python\n\n```"), ""):
        result = judge.update_results(problem, response)
        assert (result["correctness"], result["reason"], result["tests"]) == (False, "no code", [])


@pytest.mark.parametrize(
    "tests",
    [
        None,
        "",
        "not JSON",
        "[1]",
        {"inputs": [], "outputs": []},
        {"inputs": ["1"], "outputs": []},
        {"inputs": [1], "outputs": ["1"]},
        {"inputs": ["1"], "outputs": [[["1"]]]},
        {"inputs": ["1"], "outputs": ["1"], "fn_name": "f"},
    ],
)
def test_a_problem_with_no_tests_or_malformed_ones_is_not_judged(judge, tests):
    result = judge.update_results({"input_output": tests}, answer("print(1)"))
    assert (result["correctness"], result["reason"]) == (None, "not judged")


@pytest.mark.parametrize("program", ["print(1", "x = '\0'", "return 1", "(" * 500 + ")" * 500])
def test_what_does_not_compile_is_a_syntax_error(judge, program):
    assert reason(judge, program, "", "1") == "syntax error"


def test_a_program_that_fails_after_the_right_output_is_a_runtime_error(judge):
    assert reason(judge, "print(1); raise SystemExit(3)", "", "1") == "runtime error: exit status 3"
    assert reason(judge, "print(1); raise SystemExit('no')", "", "1") == "runtime error: exit status 1"
    assert reason(judge, "print(1); 1 / 0", "", "1") == "runtime error: ZeroDivisionError"
    assert reason(judge, "print(1, flush=True); import os; os.abort()", "", "1") == "runtime error: SIGABRT"
    in_a_thread = "import threading\nprint(1)\nthreading.Thread(target=lambda: 1 / 0).start()"
    assert reason(judge, in_a_thread, "", "1") == "runtime error: ZeroDivisionError"


def test_an_uncaught_exception_is_named_even_when_the_program_closed_every_file(judge):
    assert reason(judge, "import os; os.closerange(0, 200); 1 / 0", "", "1") == "runtime error: exit status 1"


def test_half_an_answer_with_a_good_exit_status_is_a_wrong_answer(judge):
    assert (
        reason(judge, "import os; print(1, flush=True); os._exit(0); print(2)", "", "1\n2") == "wrong answer"
    )


def test_what_is_not_flushed_is_lost_in_os_exit_and_only_there(judge):
    assert reason(judge, "import os; print(1); os._exit(0)", "", "1") == "wrong answer"
    assert reason(judge, "print(1)", "", "1") == ""
    assert reason(judge, "out = open(1, 'w'); out.write('1')", "", "1") == ""
    assert reason(judge, "import sys, io; sys.stdout.write('1'); sys.stdout = io.StringIO()", "", "1") == ""
    assert reason(judge, "import atexit; atexit.register(lambda: print(1))", "", "1") == ""
    assert reason(judge, "import sys; print(1); sys.stdout.flush(); sys.stdout.close()", "", "1") == ""


def test_a_missing_function_is_said_to_be_missing(judge):
    assert reason(judge, "def g(): return 1", [[]], [1], "f") == "missing function"
    assert reason(judge, "def g(): return 1", [[4, 6]], [2], "gcd") == "missing function"
    assert reason(judge, "class Solution:\n def g(self): return 1", [[]], [1], "f") == "missing function"
    assert reason(judge, "f = 3", [[]], [1], "f") == "missing function"


# Limits


def test_an_infinite_loop_is_killed_at_the_time_limit(judge):
    start = time.monotonic()
    result = judged(judge, "while True: pass", "", "1")
    assert result["reason"] == "time limit"
    assert 1.0 <= result["tests"][0]["seconds"] < 1.6
    assert time.monotonic() - start < 20
    assert reason(judge, "def f():\n while True: pass", [[]], [1], "f") == "time limit"


def test_a_loop_that_catches_every_exception_and_signal_is_killed_too(judge):
    program = """
        import signal
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        while True:
            try:
                while True: pass
            except BaseException: pass
    """
    assert reason(judge, "if True:" + program, "", "1") == "time limit"


def test_a_program_that_sleeps_is_ended_by_the_wall_clock():
    with TACOTaskHandler(timeout=0.2) as quick:
        result = judged(quick, "import time; time.sleep(60)", "", "1")
        assert result["reason"] == "time limit"
        assert result["tests"][0]["seconds"] < 0.2


def test_a_busy_machine_takes_no_wall_time_from_a_program():
    core = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    program = "import time\nwhile time.process_time() < 0.5: pass\nprint(1)"
    with TACOTaskHandler(timeout=0.8) as judge:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # the helper process inherits it
        assert reason(judge, "print(1)", "", "1") == ""
        os.sched_setaffinity(0, cores)
        spinning = [subprocess.Popen([sys.executable, "-c", spin], start_new_session=True) for _ in range(7)]
        try:
            assert reason(judge, program, "", "1") == ""
        finally:
            for process in spinning:
                process.kill()
                process.wait()


def test_each_call_has_the_whole_time():
    program = (
        "import time\ndef f(x):\n start = time.process_time()\n"
        " while time.process_time() < start + x: pass\n return x"
    )
    with TACOTaskHandler(timeout=0.6) as quick:
        result = judged(quick, program, [[0.4], [0.4], [0.4]], [0.4, 0.4, 0.4], "f")
        assert result["reason"] == ""
        assert all(0.37 <= test["seconds"] < 0.6 for test in result["tests"])
        result = judged(quick, program, [[0.4], [0.8]], [0.4, 0.8], "f")
        assert [test["reason"] for test in result["tests"]] == ["", "time limit"]


@pytest.mark.parametrize(
    "program",
    [
        "x = bytearray(10**10)",
        "x = [0] * 10**10",
        "x = []\nwhile True: x.append(bytes(10**8))",
        "import numpy\nx = numpy.ones(10**10)",
    ],
)
def test_a_memory_hog_meets_the_memory_limit(judge, program):
    assert reason(judge, program, "", "1") == "memory limit"
    assert reason(judge, f"{program}\ndef f(): return 1", [[]], [1], "f") == "memory limit"


def test_memory_used_up_by_small_objects_is_reported_as_well():
    with TACOTaskHandler(timeout=10, memory_mb=400) as small:
        assert reason(small, "x = []\nwhile True: x.append([])", "", "1") == "memory limit"


def test_endless_output_meets_the_output_limit():
    with TACOTaskHandler(timeout=10) as patient:
        assert reason(patient, "while True: print('x' * 100000)", "", "1") == "output limit"


def test_ten_megabytes_on_one_line_go_through_both_ways(judge):
    line = "ab" * 5_000_000
    assert reason(judge, "print(input()[::-1])", line, line[::-1]) == ""
    assert reason(judge, "print('a' * 10**7)\ninput()", line, "a" * 10**7) == ""
    assert reason(judge, "print(1)", line, "1") == ""
    assert reason(judge, "def f(x): return x[::-1]", [[line]], [line[::-1]], "f") == ""


# Reading and writing habits


@pytest.mark.parametrize(
    "program",
    [
        "print(int(input()) + int(input()))",
        "import sys\nprint(sum(map(int, sys.stdin)))",
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
        "import sys\nprint(int(sys.stdin.readline()) + int(sys.stdin.readline()))",
        "import sys\nprint(sum(map(int, sys.stdin.buffer.readlines())))",
        "import sys\ninput = sys.stdin.buffer.readline\nprint(int(input()) + int(input()))",
        "print(sum(map(int, open(0))))",
        "print(sum(map(int, open('/dev/stdin').read().split())))",
        "import os\nprint(sum(map(int, os.read(0, 100).split())))",
        "import os, io\nprint(sum(map(int, io.BytesIO(os.read(0, 10**6)))))",
        "import sys\nsys.stdin = open(0)\nprint(int(input()) + int(input()))",
        "import fileinput\nprint(sum(int(line) for line in fileinput.input()))",
        "if __name__ == '__main__':\n    print(int(input()) + int(input()))",
        "import sys\nprint(int(input()) + int(input()))\nsys.exit(0)",
        "print(int(input()) + int(input()))\nexit()",
        "print(int(input()) + int(input()))\nquit()",
        "import os\nos.write(1, str(int(input()) + int(input())).encode())",
        "import sys\nsys.stdout.buffer.write(str(int(input()) + int(input())).encode())",
        "import threading, time\na = int(input()) + int(input())\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print(a))).start()",
        "try:\n    print(int(input()) + int(input()))\n    exit(0)\nexcept:\n    pass",
        "import builtins\nreal, builtins.print = print, None\nreal(int(input()) + int(input()))",
        "import json, os, sys\nx = int(input()) + int(input())\njson.dumps = os.write = os.getpid = None\nprint(x)",
    ],
)
@pytest.mark.parametrize("text", ["3\n4\n", "3\n4", "3\r\n4\r\n"])
def test_every_way_to_read_and_write_works(judge, program, text):
    assert reason(judge, program, text, "7\n") == ""


def test_windows_line_ends_do_not_reach_the_program(judge):
    assert reason(judge, "print(input() == 'a', input() == 'b')", "a\r\nb\r\n", "True True") == ""


def test_an_input_of_a_megabyte_is_there_whole_for_one_read(judge):
    assert reason(judge, "import os; print(len(os.read(0, 10**7)))", "x" * 1_000_000, "1000000") == ""


def test_tests_may_be_lists_of_lines(judge):
    assert reason(judge, "print(input()); print(input())", [["a", "b"]], [["a", "b"]]) == ""


def test_output_is_bytes_and_need_not_be_text(judge):
    assert reason(judge, "import os; os.write(1, b'1\\0')", "", "1") == "wrong answer"
    assert reason(judge, "import os; os.write(1, b'\\xff\\xfe')", "", "1") == "wrong answer"
    assert reason(judge, "print(input())", "é \u2603", "é \u2603") == ""
    assert reason(judge, "print('\\udcff')", "", "\u00ff") == "wrong answer"


# Python as a fresh interpreter has it


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(10**5))",
        "import sys, functools\nsys.setrecursionlimit(10**6)\n@functools.lru_cache(None)\n"
        "def f(n): return n and 1 + f(n - 1)\nprint(f(10**5))",
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**28)\n"
        "def f(n): return n and 1 + f(n - 1)\n"
        "t = threading.Thread(target=lambda: print(f(10**5)))\nt.start()\nt.join()",
    ],
)
def test_recursion_to_a_hundred_thousand_works_where_the_limit_is_raised(judge, program):
    assert reason(judge, program, "", "100000") == ""


def test_the_recursion_limit_is_a_fresh_interpreters(judge):
    program = (
        "def f(n):\n global depth\n depth = n\n f(n + 1)\ntry: f(1)\nexcept RecursionError: print(depth)"
    )
    assert 995 < int(judged(judge, program, "", "x")["tests"][0]["output"]) < 1003


def test_a_program_is_the_main_module_of_a_fresh_folder(judge):
    program = "import os, sys\nprint(__name__, len(sys.argv), os.listdir() == [os.path.basename(__file__)], __doc__)"
    assert reason(judge, f"'''doc'''\n{program}", "", "__main__ 1 True doc") == ""
    assert reason(judge, "import __main__\nx = 3\nprint(__main__.x)", "", "3") == ""
    assert (
        reason(judge, "# -*- coding: utf-8 -*-\nfrom __future__ import annotations\nprint('é')", "", "é")
        == ""
    )
    assert reason(judge, "\ufeffprint(1)", "", "1") == ""
    counted = "import collections\nclass A(collections.namedtuple('A', 'x')): pass\nimport pickle\n"
    assert reason(judge, counted + "print(pickle.loads(pickle.dumps(A(5))).x)", "", "5") == ""


def test_unimported_names_are_found_and_change_nothing_that_is_there(judge):
    program = "print(math.sqrt(4), Counter('aa')['a'], gcd(4, 6), ascii_lowercase[0], np.int64(3), List[int])"
    assert reason(judge, program, "", "2.0 2 2 a 3 typing.List[int]") == ""
    assert reason(judge, "print(pow(2, 3, 5), sum([1]), open is io.open)", "", "3 1 True") == ""
    assert (
        reason(judge, "def gcd(a, b): return 7\nprint(gcd(4, 6), sorted(globals())[0])", "", "7 __builtins__")
        == ""
    )
    assert reason(judge, "print('deque' in globals(), 'math' in dir())", "", "False False") == ""
    assert reason(judge, "print(undefined)", "", "") == "runtime error: NameError"


def test_every_name_of_the_prelude_is_found_whichever_size_of_it_a_program_gets(judge):
    members = [*prelude.NAMES.items(), *prelude.MORE_NAMES.items()]
    names = [name for module, text in members for name in (module, *text.split())]
    names += [*prelude.MODULES.split(), *prelude.MORE_MODULES.split(), "np"]
    missing = [name for name in names if reason(judge, f"{name}\nprint(1)", "", "1")]
    assert (missing, len(names) > 100) == ([], True)
    imports = f"{prelude.OFTEN_IMPORTED} {prelude.MORE_OFTEN_IMPORTED} heapq sys json unittest asyncio uuid"
    assert [name for name in imports.split() if reason(judge, f"import {name}\nprint(1)", "", "1")] == []


def test_random_numbers_differ_from_run_to_run(judge):
    program = "import random, numpy\nprint(random.random(), numpy.random.rand())"
    shown = {tuple(judged(judge, program, "", "x")["tests"][0]["output"].split()) for _ in range(3)}
    assert len({first for first, _ in shown}) == len({second for _, second in shown}) == 3


def test_the_judges_environment_is_not_the_programs(judge, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "swordfish")
    with TACOTaskHandler() as fresh:
        program = (
            "import os\nprint('SECRET_KEY' in os.environ, 'swordfish' in open('/proc/self/environ').read())"
        )
        assert reason(fresh, program, "", "False False") == ""
        assert reason(fresh, "import os; print(os.environ['HOME'] == os.getcwd())", "", "True") == ""


def test_integers_of_ten_thousand_digits_are_read_printed_and_returned(judge):
    text = "7" * 10_000
    assert reason(judge, "print(int(input()) + 1)", text, text[:-1] + "8") == ""
    tests = f'{{"fn_name": "f", "inputs": [[{text}]], "outputs": [{text[:-1]}8]}}'
    assert (
        judge.update_results({"input_output": tests}, answer("def f(x): return x + 1"))["correctness"] is True
    )
    assert (
        judge.update_results({"input_output": tests}, answer("def f(x): return x"))["reason"]
        == "wrong answer"
    )


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
    assert (
        reason(judge, "import os\ndef f(): os._exit(0)", [[]], [None], "f") == "runtime error: exit status 0"
    )


def test_garbage_in_the_judges_pipe_is_no_verdict_but_wrong(judge):
    for line in (
        "garbage",
        "[]",
        "{}",
        '{\\"value\\": [\\"list\\", 3]}',
        '{\\"value\\": [1, 2, 3]}',
        "[" * 100000,
    ):
        program = f'import os\ndef f():\n os.write(100, b"{line}\\n")\n return 1'
        assert judged(judge, program, [[], []], [[1], [2]], "f")["correctness"] is False


# Processes, files, and the judge's own failures


def descendants(pid: int) -> list[int]:
    """The processes below one, all generations."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def memory_holds(pid: int, word: bytes) -> bool:
    """Whether a process has these bytes anywhere in its memory."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1][0] == "r" and "[v" not in line and end - start < 1 << 28:
                memory.seek(start)
                with suppress(OSError):
                    if word in memory.read(end - start):
                        return True
    return False


@pytest.mark.skipif(os.getuid() != 0, reason="only root can look into these processes")
@pytest.mark.parametrize("function", [None, "f"])
def test_expected_outputs_never_enter_the_processes_behind_the_judge(function):
    """While a program runs, none of them has the expected output, also not from a program that was right before."""
    right = "def f(x): return 'sword' + 'fish'\nif __name__ == '__main__': print(f(0))"
    program = "import time\nthere = 'saxo' + 'phone'\ndef f(x): time.sleep(1)\nif __name__ == '__main__': f(0)"
    with TACOTaskHandler() as judge, ThreadPoolExecutor(1) as pool:
        judge.protection()
        inputs = [["clarinet"]] if function else "clarinet"
        assert reason(judge, right, inputs, ["sword" + "fish"], function) == ""
        verdict = pool.submit(reason, judge, program, inputs, ["sword" + "fish"], function)
        time.sleep(0.5)
        found = {word: [memory_holds(pid, word) for pid in descendants(judge._warm[False].process.pid)]
                 for word in (b"saxophone", b"clarinet", b"sword" + b"fish")}  # fmt: skip
        assert verdict.result() == "wrong answer"
    assert len(found[b"saxophone"]) >= 3
    assert any(found[b"saxophone"])
    assert any(found[b"clarinet"])
    assert not any(found[b"sword" + b"fish"])


@pytest.mark.parametrize("session", ["pass", "os.setsid()"])
def test_without_layers_a_child_left_behind_is_killed(open_judge, session):
    seconds = 1000 + os.getpid() % 1000 + len(session) / 100
    program = (
        f"import os\nif os.fork() == 0:\n    {session}\n    if os.fork(): os._exit(0)\n"
        f"    os.execlp('sleep', 'sleep', '{seconds}')\nos.wait()\nimport time\ntime.sleep(0.1)\nprint(1)"
    )
    assert reason(open_judge, program, "", "1") == ""
    assert running(f"sleep {seconds}") == []


def test_without_layers_a_fork_of_the_program_is_not_the_program(open_judge):
    assert reason(open_judge, "import os\nif os.fork() == 0: 1 / 0\nos.wait()\nprint(1)", "", "1") == ""
    assert reason(open_judge, "import os\ndef f(x):\n os.fork()\n return x", [[1], [2], [3]], [1, 2, 3], "f") == ""


def test_a_program_may_start_threads_and_no_processes(judge):
    threads = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def double(x): return 2 * x\n"
        "print(*ThreadPoolExecutor(2).map(double, [1, 2]))\n"
    )
    assert reason(judge, threads, "", "2 4") == ""
    for start in ("os.fork()", "subprocess.run(['true'])", "os.system('true') and 1 / 0"):
        assert reason(judge, f"import os, subprocess\n{start}", "", "") in (
            "runtime error: BlockingIOError", "runtime error: ZeroDivisionError",
        )  # fmt: skip


def test_a_killed_helper_process_gives_no_wrong_verdict():
    program = "import time\ntime.sleep(0.5)\nprint(input())"
    with TACOTaskHandler() as judge:
        assert reason(judge, program, "1", "1") == ""
        for function in (None, "f"):
            killer = threading.Timer(0.2, os.killpg, (judge._warm[False].process.pid, signal.SIGKILL))
            killer.start()
            if function:
                slow = "import time\ndef f(x):\n time.sleep(0.5)\n return x"
                assert reason(judge, slow, [[1], [2]], [1, 2], function) == ""
            else:
                assert reason(judge, program, ["1", "2"], ["1", "2"]) == ""
            killer.join()


def test_a_program_that_kills_itself_has_failed_and_nothing_else_is_killed(judge):
    assert reason(judge, "import os; os.kill(os.getpid(), 9)", "", "1") == "runtime error: SIGKILL"
    assert reason(judge, "import os; os.kill(os.getppid(), 9)", "", "1") == "runtime error: PermissionError"
    assert reason(judge, "print(1)", "", "1") == ""


def folders(parent: Path) -> list[Path]:
    """The judges' folders; their locks are files that stay."""
    return [path for path in parent.iterdir() if path.is_dir()]


def test_nothing_is_left_after_closing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = len(list(Path("/proc/self/fd").iterdir()))
    judge = TACOTaskHandler()
    assert running(str(tmp_path)) == []
    assert reason(judge, "open('file', 'w').write('x'); import os; os.makedirs('a/b')", "", "") == ""
    (folder,) = folders(tmp_path)
    assert list((folder / "box").iterdir()) == []
    assert running(str(tmp_path)) != []
    judge.close()
    assert running(str(tmp_path)) == []
    assert folders(tmp_path) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    judge.close()


def test_the_helper_process_ends_with_the_one_that_started_it(tmp_path):
    program = (
        "import os, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from SkyThought.taco import TACOTaskHandler\n"
        "from hindsight.formats import render\n"
        "problem = {'input_output': {'inputs': [''], 'outputs': ['1']}}\n"
        "answer = render('x', '```python\\nprint(1)\\n```')\n"
        "print(TACOTaskHandler().update_results(problem, answer)['correctness'], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "True\n"
    deadline = time.monotonic() + 10
    while (running(str(tmp_path)) or folders(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(str(tmp_path)) == []
    assert folders(tmp_path) == []


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
        problems = [json.loads(line) for line in (REAL / f"{kind}_problems.jsonl").read_text().splitlines()]
        by_id = {problem["task_id"]: problem for problem in problems}
        samples = [json.loads(line) for line in (REAL / f"{kind}_samples.jsonl").read_text().splitlines()]
        rows += [(kind, by_id[sample["question_id"]], sample) for sample in samples]
    return rows


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real programs are not there: {REAL}")
@pytest.mark.parametrize(
    ("workers", "layers", "step"),
    [(4, LAYERS, 1), (1, LAYERS, EVERY), (4, LAYERS[1:], EVERY), (1, LAYERS[1:], EVERY)],
    ids=["4 workers", "1 worker", "4 workers without namespaces", "1 worker without namespaces"],
)
def test_every_real_program_gets_its_known_verdict(workers, layers, step):
    """All 469 programs for standard input and all 671 call-based ones in one way, every so many in the others."""
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
