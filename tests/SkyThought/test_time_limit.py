"""Verdicts do not depend on the machine's load: time limits, and tests judged again alone."""

import time

import pytest

from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler

pytestmark = pytest.mark.slow  # together they take over ten seconds

BURN = "import time\nend = float(input())\nwhile time.process_time() < end: pass\nprint('done')"
SLOW_UNTIL = (
    "import time\nend = 0.7 if time.time() < float(input()) else 0.1\n"
    "while time.process_time() < end: pass\nprint('done')"
)


def one_test(text):
    return make_tests({"inputs": [text], "outputs": ["done"]})


@pytest.fixture
def busy(monkeypatch):
    """A machine that reports a high load."""
    monkeypatch.setattr("os.getloadavg", lambda: (9.0, 9.0, 9.0))


@pytest.mark.parametrize(("seconds", "reason"), [(0.3, ""), (0.65, "time limit"), (5, "time limit")])
def test_a_time_limit_is_the_same_alone_and_beside_others(monkeypatch, seconds, reason):
    with TACOTaskHandler(timeout=0.5) as judge:
        for load in (0.0, 9.0):
            monkeypatch.setattr("os.getloadavg", lambda load=load: (load, load, load))
            assert judge.judge(BURN, one_test(str(seconds)))["reason"] == reason


@pytest.mark.parametrize("slow_for", [0.6, 1.4])
def test_a_test_near_its_limit_on_a_busy_machine_is_judged_again_alone_until_it_is_fast(busy, slow_for):
    """The first run takes 0.7 s; one or two more runs alone may be cut at the limit of 0.5 s."""
    with TACOTaskHandler(timeout=0.5) as judge:
        result = judge.judge(SLOW_UNTIL, one_test(str(time.time() + slow_for)))
        assert result["reason"] == ""
        assert result["tests"][0]["seconds"] < 0.5
        call = SLOW_UNTIL.replace("float(input())", "until").replace("print('done')", "return 'done'").split("\n")
        program = "\n".join([call[0], "def f(until):", *(f"    {line}" for line in call[1:])])
        tests = make_tests({"fn_name": "f", "inputs": [[time.time() + slow_for]], "outputs": ["done"]})
        assert judge.judge(program, tests)["reason"] == ""
