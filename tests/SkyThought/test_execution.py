"""The limits a program meets, the processes it runs in, and the judge's own failures."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hostile_programs import descendants
from judging import judged, reason, running

from SkyThought.execution.program import OutputPipe
from SkyThought.taco import TACOTaskHandler

pytestmark = pytest.mark.slow  # together they take over ten seconds


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(timeout=1.0, memory_mb=1024) as handler:
        yield handler


@pytest.fixture(scope="module")
def quick():
    """A judge with a short limit, for programs that use it up."""
    with TACOTaskHandler(timeout=0.2) as handler:
        yield handler


@pytest.fixture(scope="module")
def open_judge():
    """A judge without any layer: what programs start is ended all the same."""
    with TACOTaskHandler(timeout=1.0, memory_mb=1024, layers=(), unsafe=True) as handler:
        yield handler


# Limits


def test_an_infinite_loop_is_killed_at_the_time_limit(quick):
    result = judged(quick, "while True: pass", "", "1")
    assert result["reason"] == "time limit"
    assert 0.2 <= result["tests"][0]["seconds"] < 0.8, "CPU time"
    assert reason(quick, "def f():\n while True: pass", [[]], [1], "f") == "time limit"


def test_a_loop_that_catches_every_exception_and_signal_is_killed_too(quick):
    program = """
        import signal
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        while True:
            try:
                while True: pass
            except BaseException: pass
    """
    assert reason(quick, "if True:" + program, "", "1") == "time limit"


def test_a_program_that_sleeps_is_ended_by_the_wall_clock(quick):
    result = judged(quick, "import time; time.sleep(60)", "", "1")
    assert result["reason"] == "time limit"
    assert result["tests"][0]["seconds"] < 0.2


USES_HALF = """
    import time
    def f(n):
        until = time.process_time() + 0.1
        while time.process_time() < until: pass
        return n
"""


@pytest.mark.parametrize(
    ("program", "inputs", "outputs", "function", "before", "after"),
    [
        ("def f(n): return 'x' * n", [[1_000_000]], ["x" * 1_000_000], "f", 0.08, 0),
        ("print('x' * int(input()))", "1000000\n", "x" * 1_000_000, None, 0.08, 0),
        (USES_HALF, [[n] for n in range(8)], list(range(8)), "f", 0.6, 0),
        (USES_HALF, [[n] for n in range(8)], list(range(8)), "f", 0, 0.6),
    ],
    ids=["a large value", "a large output", "many calls", "many calls, after reading"],
)
def test_a_judge_that_is_slow_takes_no_time_from_a_program(
    quick, monkeypatch, program, inputs, outputs, function, before, after
):
    """As on a busy machine. The child waits for a full pipe, or is several calls ahead of the judge.

    before, after: seconds that the judge does nothing before and after it reads.
    """

    def read(pipe):
        time.sleep(before)
        more = read_all(pipe)
        time.sleep(after)
        return more

    read_all = OutputPipe.read
    monkeypatch.setattr(OutputPipe, "read", read)
    assert reason(quick, textwrap.dedent(program), inputs, outputs, function) == ""


@pytest.mark.parametrize("reports", ["", "os.write(100, b'{')"], ids=["nothing", "a part of a line"])
def test_a_call_beyond_its_limit_is_killed_although_the_judge_is_slow(quick, monkeypatch, reports):
    """The calls before it are right: they are not charged for it."""
    read_all = OutputPipe.read
    monkeypatch.setattr(OutputPipe, "read", lambda pipe: (time.sleep(0.3), read_all(pipe))[1])
    program = f"import os\ndef f(n):\n if n == 2: {reports or 'pass'}\n while n == 2: pass\n return n"
    result = judged(quick, program, [[0], [1], [2], [3]], [0, 1, 2, 3], "f")
    assert result["reason"] == "time limit"
    assert [test["passed"] for test in result["tests"]] == [True, True, False]


def test_the_time_that_a_program_hides_is_charged_to_its_next_call(quick):
    """It stops the clock by which its calls report their time."""
    hides = "import sys\nsys.modules['SkyThought.sandbox.calls'].process_time = lambda: 0.0\n"
    calls = [[n] for n in range(4)], list(range(4)), "f"
    assert reason(quick, textwrap.dedent(USES_HALF), *calls) == ""
    assert reason(quick, hides + textwrap.dedent(USES_HALF), *calls) == "time limit"


@pytest.mark.parametrize("call", ["main()", "thread = threading.Thread(target=main); thread.start(); thread.join()"])
def test_a_busy_machine_takes_no_wall_time_from_a_program(monkeypatch, call):
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))  # else the limit is longer
    core = min(os.sched_getaffinity(0))
    program = f"import threading, time\ndef main():\n while time.process_time() < 0.13: pass\n print(1)\n{call}"
    with TACOTaskHandler(timeout=0.2) as judge:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # the helper process inherits it
        assert reason(judge, "print(1)", "", "1") == ""
        loop = ["sh", "-c", "while :; do :; done"]
        spinning = [subprocess.Popen(loop, start_new_session=True) for _ in range(7)]
        os.sched_setaffinity(0, cores)
        try:
            assert reason(judge, program, "", "1") == ""
        finally:
            for process in spinning:
                process.kill()
                process.wait()


def test_each_call_has_the_whole_time():
    """The judge of a busy machine may see the end of a call late: a part of the next call then counts as its time."""
    program = (
        "import time\ndef f(x):\n start = time.process_time()\n while time.process_time() < start + x: pass\n return x"
    )
    with TACOTaskHandler(timeout=0.5) as judge:
        result = judged(judge, program, [[0.3], [0.3], [0.3]], [0.3, 0.3, 0.3], "f")
        assert result["reason"] == ""
        assert sum(test["seconds"] for test in result["tests"]) > 0.8
        result = judged(judge, program, [[0.3], [1.0]], [0.3, 1.0], "f")
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
    with TACOTaskHandler(timeout=10, memory_mb=200) as small:
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


# Processes, files, and the judge's own failures


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
    program = """
import signal, time
told = []
signal.signal(signal.SIGTERM, lambda *args: told.append(1))
there = "".join(["saxo", "phone"])
def f(x):
    while not told: time.sleep(0.01)
if __name__ == "__main__": f(0)
"""
    with TACOTaskHandler(timeout=60) as judge, ThreadPoolExecutor(1) as pool:
        judge.protection()
        inputs = [["clarinet"]] if function else "clarinet"
        assert reason(judge, right, inputs, ["sword" + "fish"], function) == ""
        verdict = pool.submit(reason, judge, program, inputs, ["sword" + "fish"], function)
        found: dict[bytes, dict[int, bool]] = {b"saxophone": {}}
        while not any(found[b"saxophone"].values()) and not verdict.done():  # until the program runs
            found = {word: {pid: memory_holds(pid, word) for pid in descendants(judge._warm["small"].process.pid)}
                     for word in (b"saxophone", b"clarinet", b"sword" + b"fish")}  # fmt: skip
        os.kill(next(pid for pid, holds in found[b"saxophone"].items() if holds), signal.SIGTERM)
        assert verdict.result() == "wrong answer"
    assert len(found[b"saxophone"]) >= 3
    assert any(found[b"clarinet"].values())
    assert not any(found[b"sword" + b"fish"].values())


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


@pytest.mark.parametrize(
    "pool",
    [
        "concurrent.futures import ThreadPoolExecutor as Pool",
        "multiprocessing.dummy import Pool",
        "multiprocessing.pool import ThreadPool as Pool",
    ],
)
def test_a_program_may_start_threads(judge, pool):
    program = f"from {pool}\ndef f(x): return 2 * x\nwith Pool(2) as pool: print(*pool.map(f, [1, 2]))"
    assert reason(judge, program, "", "2 4") == ""
    program = f"from {pool}\nimport os\ndef f(x):\n    with Pool(2) as pool: return list(pool.map(abs, x))"
    assert reason(judge, program, [[[1, -2]], [[3]]], [[1, 2], [3]], "f") == ""


def test_threads_may_share_what_multiprocessing_has_for_processes(judge):
    program = """
        from multiprocessing import Barrier, Event, JoinableQueue, Lock, Queue, RLock, Semaphore, Value
        from threading import Thread
        queue, total, done = Queue(), Value("i", 0), Event()
        def work():
            for number in iter(queue.get, None):
                with total.get_lock(): total.value += number
            done.set()
        thread = Thread(target=work)
        thread.start()
        for number in [1, 2, 3, None]: queue.put(number)
        done.wait()
        thread.join()
        print(total.value)
    """
    assert reason(judge, textwrap.dedent(program), ["", ""], ["6", "6"]) == ""


def test_a_program_may_start_no_processes(judge):
    starts = ("os.fork()", "subprocess.run(['true'])", "multiprocessing.Pool(2)", "multiprocessing.Process().start()")
    for start in (*starts, "os.system('true') and 1 / 0"):
        assert reason(judge, f"import multiprocessing, os, subprocess\n{start}", "", "") in (
            "runtime error: BlockingIOError", "runtime error: ZeroDivisionError",
        )  # fmt: skip


def test_a_killed_helper_process_gives_no_wrong_verdict():
    program = "import time\ntime.sleep(0.5)\nprint(input())"
    with TACOTaskHandler() as judge:
        assert reason(judge, program, "1", "1") == ""
        for function in (None, "f"):
            killer = threading.Timer(0.2, os.killpg, (judge._warm["small"].process.pid, signal.SIGKILL))
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
        "from hindsight.text.uniform_format import render\n"
        "problem = {'input_output': {'inputs': [''], 'outputs': ['1']}}\n"
        "answer = render('x', '```python\\nprint(1)\\n```')\n"
        "print(TACOTaskHandler().update_results(problem, answer)['correctness'], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True\n"
    deadline = time.monotonic() + 60
    while (running(str(tmp_path)) or folders(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(str(tmp_path)) == []
    assert folders(tmp_path) == []
