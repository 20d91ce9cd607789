"""Seeds of samples, the progress bar of a run and its estimate of the time left."""

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.sampling import progress as progress_module
from hindsight.sampling.progress import Progress, duration
from hindsight.sampling.samples import sample_seed
from hindsight.servers.job_queue import Failures

ANSWER = {"finish_reason": "stop", "usage": {"completion_tokens": 30}}
CUT = {"finish_reason": "length", "usage": {"completion_tokens": 90}}


class Bar:
    """The part of tqdm that Progress uses; keeps what it was given."""

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
    """The clock of Progress: a list whose last item is the time."""
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[-1])
    return now


def test_samples_of_different_runs_problems_and_indices_have_different_seeds():
    seeds = {sample_seed(*each) for each in itertools.product(range(3), range(100), range(20))}
    assert len(seeds) == 6000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_seeds_are_those_of_earlier_versions():
    """The first 31 bits of SHA-256 of the run's seed, the question's id and the sample's index."""
    expected = int(hashlib.sha256(b"0 12 3").hexdigest()[:8], 16) // 2
    assert sample_seed(0, 12, 3) == expected


def test_the_progress_bar_counts_written_failed_and_cut_off_samples(clock):
    bar, failures = Bar(4), Failures()
    progress = Progress(bar, failures, at_once=4)
    clock.append(2.0)
    for record in (ANSWER, CUT):
        progress.add(record)
        progress.step()
    failures.add("question 0 sample 2", "refused")
    progress.step()
    assert (bar.n, bar.postfix) == (3, "1 failed, 60 tokens/s, 60 per sample, 50% cut off")
    assert progress.counts() == {"written": 2, "completion_tokens": 120, "cut_off": 1, "seconds": 2.0}
    progress.add({**ANSWER, "usage": {}})
    assert progress.counts()["without_tokens"] == 1


def test_after_a_minute_the_time_left_is_estimated_once(clock):
    bar = Bar(1000)
    progress = Progress(bar, Failures(), at_once=5)
    for second in range(0, 100, 10):
        clock.append(float(second))
        progress.step()
    assert bar.written == ["8 samples in 70 s: about 2 h 25 min left"]  # 992 more at 70 / 8 s each: 8,680 s


def test_the_estimate_waits_until_as_many_answers_are_finished_as_are_in_flight(clock):
    bar = Bar(1000)
    progress = Progress(bar, Failures(), at_once=3)
    for second in (100.0, 110.0, 120.0):
        clock.append(second)
        assert bar.written == []
        progress.step()
    assert len(bar.written) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "3 s"), (59.6 * 60, "1 h 0 min"), (12 * 60, "12 min"), (12_000, "3 h 20 min"), (190_800, "2 d 5 h")],
)
def test_a_duration_is_given_in_the_units_a_person_would_use(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e7))
def test_a_duration_never_has_60_minutes_or_24_hours(seconds):
    words = duration(seconds).split()
    most = {"s": 60, "min": 59, "h": 23, "d": 999}
    assert all(0 <= int(number) <= most[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
