"""Seeds, which samples are left to make, the live line and the estimate."""

import asyncio
import hashlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.sampling import loop
from hindsight.sampling.loop import SLOW_WRITE, SLOW_WRITES, Progress, RecordWriter, duration, sample_seed
from hindsight.servers.job_queue import Failures

ANSWER = {"finish_reason": "stop", "usage": {"completion_tokens": 30}}
CUT = {"finish_reason": "length", "usage": {"completion_tokens": 90}}


class Bar:
    """What Progress asks of tqdm, and what it was told."""

    def __init__(self, total):
        self.total, self.n, self.postfix, self.written = total, 0, "", []

    def set_postfix_str(self, text, refresh):
        self.postfix = text

    def update(self):
        self.n += 1

    def write(self, text):
        self.written.append(text)


@pytest.fixture
def clock(monkeypatch):
    """The time that Progress sees: a list whose last item is now."""
    now = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[-1])
    return now


def test_every_sample_of_every_problem_and_run_has_a_seed_of_its_own():
    seeds = {sample_seed(*each) for each in itertools.product(range(3), range(100), range(20))}
    assert len(seeds) == 6000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_seed_is_the_one_that_earlier_runs_recorded():
    """The first 31 bits of SHA-256 of the run's seed, the question's id and the sample's index."""
    expected = int(hashlib.sha256(b"0 12 3").hexdigest()[:8], 16) // 2
    assert sample_seed(0, 12, 3) == expected


def test_the_live_line_counts_what_is_written_failed_and_cut_off(clock):
    bar, failures = Bar(4), Failures()
    progress = Progress(bar, failures, at_once=4)
    clock.append(2.0)
    for record in (ANSWER, CUT):
        progress.add(record)
        progress.step(None)
    failures.add("question 0 sample 2", "refused")
    progress.step(None)
    assert (bar.n, bar.postfix) == (3, "1 failed, 60 tokens/s, 60 a sample, 50% cut off")
    assert progress.counts() == {"written": 2, "completion_tokens": 120, "cut_off": 1, "seconds": 2.0}


def test_after_a_minute_it_is_said_once_how_long_the_rest_will_take(clock):
    bar = Bar(1000)
    progress = Progress(bar, Failures(), at_once=5)
    for second in range(0, 100, 10):
        clock.append(float(second))
        progress.step(None)
    assert bar.written == ["8 samples in 70 s: about 2 h 25 min to go"]  # 992 more at 70 / 8 s each: 8,680 s


def test_the_estimate_waits_for_the_first_answers_of_all_that_are_under_way(clock):
    bar = Bar(1000)
    progress = Progress(bar, Failures(), at_once=3)
    for second in (100.0, 110.0, 120.0):
        clock.append(second)
        assert bar.written == []
        progress.step(None)
    assert len(bar.written) == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3, "3 s"), (59.6 * 60, "1 h 0 min"), (12 * 60, "12 min"), (12_000, "3 h 20 min"), (190_800, "2 d 5 h")],
)
def test_a_duration_is_said_as_people_do(seconds, said):
    assert duration(seconds) == said


@given(st.floats(0, 1e7))
def test_a_duration_has_no_part_that_is_full(seconds):
    words = duration(seconds).split()
    most = {"s": 60, "min": 59, "h": 23, "d": 999}
    assert all(0 <= int(number) <= most[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


def threads_that_write(monkeypatch, seconds):
    """The threads in which files are written that take so many seconds, one after the other."""
    used = []

    def write(path, record):
        used.append(threading.current_thread() is threading.main_thread())
        time.sleep(seconds[len(used) - 1])

    async def write_all():
        with ThreadPoolExecutor(1) as pool:
            writer = RecordWriter(pool)
            for number in range(len(seconds)):
                await writer.write(Path(str(number)), {})

    monkeypatch.setattr(loop.records, "write_json", write)
    asyncio.run(write_all())
    return used


def test_a_slow_disk_does_not_hold_up_the_requests(monkeypatch):
    """Once more files than SLOW_WRITES were slow, files are written in threads."""
    slow = SLOW_WRITES + 1
    assert threads_that_write(monkeypatch, [SLOW_WRITE * 1.2] * (slow + 5)) == [True] * slow + [False] * 5


def test_a_slow_file_now_and_then_does_not_make_the_disk_slow(monkeypatch):
    assert all(threads_that_write(monkeypatch, [SLOW_WRITE * 1.2, 0.0] * 40))
