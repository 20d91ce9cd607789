"""Many programs judged at once: each answer gets its verdict, equal programs run once, reading ahead is bounded."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.errors import UserError
from SkyThought.judges import AHEAD, HELD, JudgeOptions, ProblemToJudge, judge_all
from SkyThought.local_judges import LocalJudges
from SkyThought.problem_tests import make_tests
from SkyThought.sandbox.layers import LAYERS

TESTS = make_tests({"inputs": ["a\n"], "outputs": ["a\n"]})
OPTIONS = JudgeOptions(timeout=0.3, memory_mb=1024, sandbox=LAYERS, unsafe=False)


class RandomJudges:
    """Judges with random delays; the verdict on a program is its problem and its source."""

    def __init__(self, workers, seed=0):
        self.workers, self.submitted, self.may_end = workers, 0, threading.Event()
        self.may_end.set()
        self._chance, self._pool = random.Random(seed), ThreadPoolExecutor(workers)

    def submit(self, task, source):
        self.submitted += 1
        return self._pool.submit(self._judge, task, source, self._chance.choice((0, 0, 0.001)))

    def _judge(self, task, source, seconds):
        self.may_end.wait()
        time.sleep(seconds)
        return task.question_id, source


def work(problems, log):
    """The answers to each problem, whose programs are in `problems`; adds each answer that is read to `log`."""
    for number, sources in enumerate(problems):
        task = ProblemToJudge(number, None)
        for sample, source in enumerate(sources):
            log.append((number, sample))
            yield (number, sample), task, source


PROGRAMS = st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=9), max_size=6)


@given(PROGRAMS, st.integers(1, 3), st.integers(0, 99))
def test_each_answer_gets_the_verdict_on_its_own_program_and_each_program_is_judged_once(problems, workers, seed):
    judges = RandomJudges(workers, seed)
    results, answers = list(judge_all(judges, work(problems, []))), list(work(problems, []))
    assert len(results) == len(answers)
    assert dict(results) == {answer: (task.question_id, source) for answer, task, source in answers}
    assert judges.submitted == sum(len(set(sources)) for sources in problems)


@pytest.mark.parametrize(
    ("problems", "bound"),
    [
        ([[str(number) for number in range(500)]], AHEAD),
        ([["same"] for _ in range(500)], AHEAD),
        ([["same"] * 500], HELD),
    ],
)
def test_reading_ahead_of_the_judges_is_bounded(problems, bound):
    judges, log = RandomJudges(2), []
    judges.may_end.clear()
    threading.Timer(0.2, judges.may_end.set).start()
    for number, _ in enumerate(judge_all(judges, work(problems, log))):
        assert len(log) - number <= bound * 2
    assert len(log) == 500


@pytest.mark.slow
def test_one_worker_and_several_give_the_same_verdicts():
    sources = ["print(input())", "print(1)", "1 / 0", "print(", "while True: pass", None]
    found = []
    for workers in (1, 3):
        judges = LocalJudges(workers, OPTIONS)
        programs = ((source, ProblemToJudge(0, TESTS), source) for source in sources)
        found.append({source: result["reason"] for source, result in judge_all(judges, programs)})
        judges.close()
    assert found[0] == found[1]
    names = ["", "wrong answer", "runtime error: ZeroDivisionError", "syntax error", "time limit", "no code"]
    assert [found[0][source] for source in sources] == names


def test_an_exception_of_a_judge_is_raised_when_its_verdict_is_read():
    judges = LocalJudges(1, OPTIONS)
    future = judges.submit(ProblemToJudge(0, "not tests"), "print()")
    assert isinstance(future.exception(), AttributeError)
    assert judges.submit(ProblemToJudge(0, TESTS), "print('a')").result()["correctness"] is True
    judges.close()


def test_closed_judges_drop_waiting_programs_and_leave_no_thread():
    judges = LocalJudges(1, OPTIONS)
    futures = [judges.submit(ProblemToJudge(0, TESTS), f"import time\ntime.sleep(0.2)\nprint({n})") for n in range(50)]
    judges.close()
    assert not futures[-1].done()
    for thread in judges._threads:
        thread.join(60)
        assert not thread.is_alive()


def test_judges_without_containment_are_refused():
    with pytest.raises(UserError, match="--unsafe"):
        LocalJudges(1, replace(OPTIONS, sandbox=()))
