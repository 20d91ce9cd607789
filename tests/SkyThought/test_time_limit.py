"""Verdicts do not depend on the machine's load: time limits, and tests judged again alone."""

import time
from contextlib import closing

import pytest

from SkyThought.machine_lock import MachineLock
from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler
from SkyThought.time_limit import TimeLimit

BURN = "import time\nend = float(input())\nwhile time.process_time() < end: pass\nprint('done')"
SLOW_UNTIL = (
    "import time\nend = 0.28 if time.time() < float(input()) else 0.04\n"
    "while time.process_time() < end: pass\nprint('done')"
)


def one_test(text):
    return make_tests({"inputs": [text], "outputs": ["done"]})


@pytest.fixture
def busy(monkeypatch):
    """A machine that reports a high load."""
    monkeypatch.setattr("os.getloadavg", lambda: (9.0, 9.0, 9.0))


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "reason"), [(0.12, ""), (0.26, "time limit"), (5, "time limit")])
def test_a_time_limit_is_the_same_alone_and_beside_others(monkeypatch, seconds, reason):
    with TACOTaskHandler(timeout=0.2) as judge:
        for load in (0.0, 9.0):
            monkeypatch.setattr("os.getloadavg", lambda load=load: (load, load, load))
            assert judge.judge(BURN, one_test(str(seconds)))["reason"] == reason


@pytest.mark.slow
def test_a_test_near_its_limit_on_a_busy_machine_is_judged_again_alone_until_it_is_fast(busy):
    """The first run takes 0.28 s; one or two more runs alone may be cut at the limit of 0.2 s."""
    with TACOTaskHandler(timeout=0.2) as judge:
        judge.protection()  # starts its process
        result = judge.judge(SLOW_UNTIL, one_test(str(time.time() + 0.4)))
        assert result["reason"] == ""
        assert result["tests"][0]["seconds"] < 0.2
        call = SLOW_UNTIL.replace("float(input())", "until").replace("print('done')", "return 'done'").split("\n")
        program = "\n".join([call[0], "def f(until):", *(f"    {line}" for line in call[1:])])
        tests = make_tests({"fn_name": "f", "inputs": [[time.time() + 0.4]], "outputs": ["done"]})
        assert judge.judge(program, tests)["reason"] == ""


@pytest.mark.parametrize(
    ("endings", "limits"),
    [
        ([("", 0.4)], [0.75]),
        ([("time limit", 0.76)], [0.75]),
        ([("", 0.7), ("", 0.4)], [0.75, 0.5]),
        ([("", 0.7), ("time limit", 0.51), ("time limit", 0.51), ("wrong answer", 0.4)], [0.75, 0.5, 0.5, 0.5]),
        ([("", 0.7), *[("time limit", 0.51)] * 3], [0.75, 0.5, 0.5, 0.5]),
        ([("runtime error: SIGKILL", 0.1), ("", 0.1)], [0.75, 0.5]),
    ],
)
def test_on_a_busy_machine_the_best_of_three_runs_alone_counts(busy, endings, limits):
    lock, given, runs = MachineLock(), [], iter(endings)

    def run(limit):
        given.append(limit)
        return next(runs)

    with closing(lock), lock.shared():
        assert TimeLimit(0.5, lock).enforce(run, lambda ending: ending) == endings[-1]
    assert given == limits
