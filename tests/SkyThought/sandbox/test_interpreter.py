"""What a program finds where it runs: a fresh interpreter, and every way to read and write."""

import subprocess
import sys

import pytest
from judging import answer, judged, reason

from SkyThought.sandbox import prelude
from SkyThought.taco import TACOTaskHandler


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=1.0, memory_mb=1024) as handler:
        yield handler


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
def test_every_way_to_read_and_write_works(judge, program):
    assert reason(judge, program, ["3\n4\n", "3\n4", "3\r\n4\r\n"], ["7\n"] * 3) == ""


@pytest.mark.parametrize(
    "read",
    [
        "os.read(0, os.fstat(0).st_size)",
        "io.BytesIO(os.read(0, os.fstat(0).st_size)).read()",
        "mmap.mmap(0, 0, access=mmap.ACCESS_READ).read()",
        "mmap.mmap(0, os.path.getsize('/dev/stdin'), prot=mmap.PROT_READ)[:]",
        "[sys.stdin.read(), sys.stdin.seek(0), sys.stdin.read(), sys.stdin.seek(0), sys.stdin.read()][4].encode()",
        "[sys.stdin.buffer.seek(0, 2), sys.stdin.buffer.seek(0), sys.stdin.buffer.read()][2]",
        "[os.read(0, 2), os.lseek(0, 0, os.SEEK_SET), os.read(0, 10**6)][2]",
        "os.pread(0, 10**6, 0)",
        "''.join([input(), '\\n', sys.stdin.read()]).encode()",
        "''.join([sys.stdin.readline(), str(sys.stdin.tell() and ''), sys.stdin.read()]).encode()",
        "open('/dev/stdin', 'rb').read()",
        "b' '.join(b'%d' % n for n in numpy.fromfile(sys.stdin, dtype=int, sep=' '))",
        "b' '.join(b'%d' % n for n in numpy.loadtxt(sys.stdin, dtype=int))",
    ],
)
def test_standard_input_is_a_regular_file_of_any_size(judge, read):
    program = "import io, mmap, numpy, os, stat, sys\nassert stat.S_ISREG(os.fstat(0).st_mode)\n"
    program += f"numbers = list(map(int, ({read}).split()))\nprint(len(numbers), sum(numbers))"
    sizes = 3, 3_000, 30_000
    texts = ["".join(f"{number}\n" for number in range(lines)) for lines in sizes]
    assert reason(judge, program, texts, [f"{lines} {lines * (lines - 1) // 2}" for lines in sizes]) == ""


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
        pytest.param(
            "import sys, functools\nsys.setrecursionlimit(10**6)\n@functools.lru_cache(None)\n"
            "def f(n): return n and 1 + f(n - 1)\nprint(f(10**5))",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 12), reason="Python 3.12 limits recursion through C itself"
            ),
        ),
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**28)\n"
        "def f(n): return n and 1 + f(n - 1)\n"
        "t = threading.Thread(target=lambda: print(f(10**5)))\nt.start()\nt.join()",
    ],
)
def test_recursion_to_a_hundred_thousand_works_where_the_limit_is_raised(judge, program):
    assert reason(judge, program, "", "100000") == ""


def test_the_recursion_limit_is_a_fresh_interpreters(judge):
    program = "def f(n):\n global depth\n depth = n\n f(n + 1)\ntry: f(1)\nexcept RecursionError: print(depth)"
    assert 995 < int(judged(judge, program, "", "x")["tests"][0]["output"]) < 1003


def test_a_program_is_the_main_module_of_a_fresh_folder(judge):
    program = "import os, sys\nprint(__name__, len(sys.argv), os.listdir() == [os.path.basename(__file__)], __doc__)"
    assert reason(judge, f"'''doc'''\n{program}", "", "__main__ 1 True doc") == ""
    assert reason(judge, "import __main__\nx = 3\nprint(__main__.x)", "", "3") == ""
    assert reason(judge, "# -*- coding: utf-8 -*-\nfrom __future__ import annotations\nprint('é')", "", "é") == ""
    assert reason(judge, "\ufeffprint(1)", "", "1") == ""
    counted = "import collections\nclass A(collections.namedtuple('A', 'x')): pass\nimport pickle\n"
    assert reason(judge, counted + "print(pickle.loads(pickle.dumps(A(5))).x)", "", "5") == ""


def test_a_programs_globals_are_those_of_a_fresh_interpreter(judge, tmp_path):
    program = "print(__name__, __doc__, __package__, __spec__, sorted(globals()))"
    (tmp_path / "program.py").write_text(program)
    fresh = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=True)
    assert reason(judge, program, "", fresh.stdout) == ""


def test_unimported_names_are_found_and_change_nothing_that_is_there(judge):
    program = "print(math.sqrt(4), Counter('aa')['a'], gcd(4, 6), ascii_lowercase[0], np.int64(3), List[int])"
    assert reason(judge, program, "", "2.0 2 2 a 3 typing.List[int]") == ""
    assert reason(judge, "print(pow(2, 3, 5), sum([1]), open is io.open)", "", "3 1 True") == ""
    assert reason(judge, "def gcd(a, b): return 7\nprint(gcd(4, 6))", "", "7") == ""
    assert reason(judge, "print('deque' in globals(), 'math' in dir())", "", "False False") == ""
    assert reason(judge, "print(undefined)", "", "") == "runtime error: NameError"


@pytest.mark.slow
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
            "import os\nprint('SECRET_KEY' in os.environ)\n"
            "try: print('swordfish' in open('/proc/self/environ').read())\n"
            "except PermissionError: print(False)"  # in a container /proc may be closed
        )
        assert reason(fresh, program, "", "False False") == ""
        assert reason(fresh, "import os; print(os.environ['HOME'] == os.getcwd())", "", "True") == ""


def test_integers_of_ten_thousand_digits_are_read_printed_and_returned(judge):
    text = "7" * 10_000
    assert reason(judge, "print(int(input()) + 1)", text, text[:-1] + "8") == ""
    tests = f'{{"fn_name": "f", "inputs": [[{text}]], "outputs": [{text[:-1]}8]}}'
    assert judge.update_results({"input_output": tests}, answer("def f(x): return x + 1"))["correctness"] is True
    assert judge.update_results({"input_output": tests}, answer("def f(x): return x"))["reason"] == "wrong answer"
