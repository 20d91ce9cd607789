"""Both sampling scripts with a server that fails in every way: each sample is written once, correctly, or reported.

Correct means equal to the folder of a run without faults, byte for byte.
"""

import collections
import hashlib
import itertools
import json
import threading
import time
from itertools import pairwise

import pytest
import quick_scripts
from quick_scripts import SINGLE, SWITCHING, everything
from toy_server import ToyServer

from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run

pytestmark = pytest.mark.slow  # together they take over ten seconds

BROKEN = ("dropped", "half headers", "cut", "not json", "html", "list", "empty", "unfinished", "abort")
STATUSES = (408, 409, 429, 500, 502, 503, 504)
FEW = ["--end_idx", 3, "--num_samples", 2]


@pytest.fixture
def single(toy, tmp_path):
    """Runs step 1a into a folder of tmp_path."""

    def run(folder, *flags):
        common = ["--base_urls", toy.url, "--output_dir", tmp_path / folder]
        return quick_scripts.run(tmp_path / "output" / folder, SINGLE, *common, *flags)

    return run


@pytest.fixture
def check(single, toy, tmp_path):
    """Runs step 1a with `fault`; asserts that its folder equals that of a run without, and that each seed was answered
    once. `lost`: an answer may have been lost on its way, so that its seed was answered again."""

    def run(fault, *flags, lost=False):
        assert single("clean", *flags).returncode == 0
        toy.requests.clear()
        toy.times.clear()
        plan = Plan(fault)
        toy.fault = plan
        result = single("run", *flags)
        assert result.returncode == 0, result.stdout
        assert everything(tmp_path / "run") == everything(tmp_path / "clean")
        assert lost or set(plan.answered.values()) == {1}
        samples = len(list_files(tmp_path / "clean", "sample"))
        assert f"{samples} samples written, 0 missing" in result.stdout
        assert len(plan.answered) == samples
        return result

    return run


class Plan:
    """Fails requests by `fault(request, number)`, where `number` counts the earlier requests with this seed; counts
    the answered requests of each seed."""

    def __init__(self, fault):
        self.fault, self.asked, self.answered = fault, collections.Counter(), collections.Counter()
        self._lock = threading.Lock()

    def __call__(self, request):
        with self._lock:
            number = self.asked[request["seed"]]
            self.asked[request["seed"]] += 1
            fault = self.fault(request, number)
            if fault is None:
                self.answered[request["seed"]] += 1
        return fault


def once(fault):
    """A fault of the first request of every seed."""
    return lambda request, number: fault if number == 0 else None


def test_no_kind_of_fault_costs_a_sample(check, toy):
    """The first request of each of 16 samples fails in another way."""
    kinds, left = {}, [*STATUSES, *BROKEN]

    def fault(request, number):
        if number == 0:
            kinds[request["seed"]] = left.pop()
        return kinds[request["seed"]] if number == 0 else None

    check(fault, "--end_idx", 8, "--num_samples", 2)
    assert (left, len(toy.requests)) == ([], 32)


def test_the_client_waits_as_long_as_the_server_asks(check, toy):
    check(lambda request, number: ((429, 503)[number], {"Retry-After": "0.3"}) if number < 2 else None, *FEW)
    for seed in {request["seed"] for request in toy.requests}:
        times = [time for time, request in zip(toy.times, toy.requests, strict=True) if request["seed"] == seed]
        assert all(later - earlier >= 0.3 for earlier, later in pairwise(times)), times
        assert len(times) == 3


def test_the_client_waits_as_long_when_its_retries_are_used_up(check, toy):
    fault = (503, {"Retry-After": "0.2"})
    check(lambda request, number: fault if number < 7 else None, "--end_idx", 1, "--num_samples", 1)
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(toy.times)), toy.times
    assert len(toy.times) == 8


def test_a_server_that_hangs_is_asked_again(check):
    result = check(once("hang"), *FEW, "--request_timeout", 1, lost=True)
    assert "no answer within 1 s" in result.stdout


def test_a_prompt_longer_than_the_context_fails_alone_and_its_length_is_reported(single, toy, tmp_path):
    rows = [{"question": "Add." * size, "input_output": '{"inputs": ["1"], "outputs": ["1"]}'} for size in (1, 900, 2)]
    (tmp_path / "problems.jsonl").write_text("\n".join(map(json.dumps, rows)))
    toy.context = 3000
    result = single("run", "--problems", tmp_path / "problems.jsonl", "--split", "", "--num_samples", 2)
    assert result.returncode == 1
    assert "1 of 3 do not fit and will fail" in result.stdout
    assert f"2 failed: {toy.url}: status 400: " in result.stdout
    assert "This model's maximum context length is 3000 tokens." in result.stdout
    assert "512 output tokens and your prompt contains 4" in result.stdout
    assert list(list_files(tmp_path / "run", "sample")) == [(0, 0), (0, 1), (2, 0), (2, 1)]


def test_a_sample_that_always_takes_the_server_down_fails_and_the_others_are_written(single, toy, tmp_path):
    toy.fault = Plan(lambda request, number: "dropped" if request["seed"] == first[0] else None)
    first = [seed_of(single, toy)]
    result = single("run", *FEW)
    assert (result.returncode, "5 samples written, 1 missing" in result.stdout) == (1, True)
    assert "1 failed: " in result.stdout
    assert ", 5 times: question 0 sample 0" in result.stdout
    assert (0, 0) not in list_files(tmp_path / "run", "sample")


def seed_of(single, toy):
    """The seed of question 0's sample 0."""
    toy.fault, fault = lambda request: None, toy.fault
    single("one", "--end_idx", 1, "--num_samples", 1)
    toy.fault = fault
    return toy.requests[-1]["seed"]


def test_the_run_waits_for_a_server_that_dies_and_comes_back(check, toy):
    state = Outage(toy, after=20, seconds=0.7)
    result = check(state, "--end_idx", 12, "--num_samples", 5, "--concurrency", 8, lost=True)
    assert f"{toy.url} is away: " in result.stdout
    assert state.happened


class Outage:
    """Takes the server down at one request, for some seconds or for good; no later request is answered until then."""

    def __init__(self, toy, after, seconds=None):
        self.toy, self.after, self.seconds, self.happened = toy, after, seconds, False

    def __call__(self, request, number):
        if self.happened or len(self.toy.requests) < self.after:
            return None
        self.happened = True
        self.toy.stop()
        if self.seconds is not None:
            threading.Timer(self.seconds, self.toy.start).start()
        return "dropped"


def test_the_last_sample_waits_for_a_server_that_is_away(check, toy):
    check(Outage(toy, after=1, seconds=0.5), "--end_idx", 1, "--num_samples", 1, lost=True)


def test_a_server_that_came_back_is_not_given_up_while_it_works(single, toy, tmp_path):
    """After its deadline, the server's first replies refuse two samples."""
    outage, begun, refused = Outage(toy, after=1, seconds=0.3), [], []

    def fault(request):
        begun.append(time.monotonic())
        if outage.happened and begun[-1] > begun[0] + 0.3 and len(refused) < 2:
            refused.append(request["seed"])
            time.sleep(2)
            return 400
        return outage(request, 0)

    toy.fault = fault
    result = single("run", *FEW, "--concurrency", 2, "--server_deadline", 2)
    assert outage.happened
    assert "stayed away" not in result.stdout
    assert (result.returncode, "4 samples written, 2 missing" in result.stdout) == (1, True), result.stdout


def test_the_other_server_does_all_the_work_when_one_dies_for_good(single, toy, tmp_path):
    flags = ["--end_idx", 12, "--num_samples", 5, "--concurrency", 8]
    single("clean", *flags)
    with ToyServer() as other:
        other.fault = Plan(Outage(other, after=10))
        result = single("run", *flags, "--base_urls", toy.url, other.url)
        assert len(other.requests) >= 10
    assert (result.returncode, f"{other.url} is away: " in result.stdout) == (0, True)
    assert everything(tmp_path / "run") == everything(tmp_path / "clean")


def test_a_run_ends_when_its_server_is_gone_for_good_and_the_next_run_resumes(single, toy, tmp_path):
    flags = ["--end_idx", 12, "--num_samples", 5, "--concurrency", 8]
    single("clean", *flags)
    toy.requests.clear()
    toy.fault = Plan(Outage(toy, after=20))
    result = single("run", *flags, "--server_deadline", 1)
    assert result.returncode == 1
    assert f"{toy.url} stayed away for 1 s: " in result.stdout
    assert "run again to resume" in result.stdout
    done = list_files(tmp_path / "run", "sample")
    assert 12 <= len(done) < 20  # the others were in flight
    assert f"{len(done)} samples written, {60 - len(done)} missing" in result.stdout
    assert read_run(tmp_path / "run")["missing"] == 60 - len(done)
    toy.fault = lambda request: None
    toy.start()
    assert single("run", *flags).returncode == 0
    assert everything(tmp_path / "run") == everything(tmp_path / "clean")


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_server_that_comes_back_with_another_model_counts_as_away(single, toy, tmp_path, comes_back):
    flags = ["--end_idx", 6, "--num_samples", 5, "--concurrency", 4]
    single("clean", *flags)
    toy.requests.clear()

    def fault(request, number):
        if len(toy.requests) >= 10 and toy.models != ("other",) and not changed:
            models, toy.models = toy.models, ("other",)
            changed.append(True)
            if comes_back:
                threading.Timer(0.5, setattr, (toy, "models", models)).start()

    changed, toy.fault = [], Plan(fault)
    result = single("run", *flags, "--server_deadline", 60 if comes_back else 1)
    assert f"{toy.url} is away: status 404: " in result.stdout
    if comes_back:
        assert result.returncode == 0
        assert everything(tmp_path / "run") == everything(tmp_path / "clean")
    else:
        assert (result.returncode, "stayed away for 1 s: status 404" in result.stdout) == (1, True)
        assert len(list_files(tmp_path / "run", "sample")) <= 10 + 4


def mixed(request, number):
    """Fails one request in five, pseudo-randomly: the same requests in every run."""
    chance = hashlib.sha256(f"{request['seed']} {number}".encode()).digest()
    kinds = [*STATUSES, *BROKEN, "hang", (503, {"Retry-After": "0.1"})]
    return kinds[chance[1] % len(kinds)] if chance[0] < 256 / 5 else None


@pytest.mark.slow
def test_all_faults_mixed_over_250_samples_leave_no_trace(check, toy):
    outage = Outage(toy, after=125, seconds=0.5)
    both = lambda request, number: outage(request, number) or mixed(request, number)  # noqa: E731
    check(both, *MANY, "--request_timeout", 2, lost=True)
    assert len(toy.requests) > 250 * 1.15
    assert outage.happened


MANY = ["--end_idx", 25, "--num_samples", 10, "--concurrency", 32]


@pytest.mark.slow
def test_all_faults_mixed_over_50_switching_answers_leave_no_trace(toy, tmp_path):
    toy.answer = lambda request: f"{request['seed']} " * 20
    common = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--end_idx", 5, "--concurrency", 16]
    common += ["--k", "15-20", "--p", "geometric 20", "--total_new_tokens", 40, "--request_timeout", 2]
    runs, clean, tokenized = [], [], itertools.count()

    def tokenizer_fault(request):
        return "cut" if len(toy.requests) > clean[0] and next(tokenized) % 3 == 0 else None

    for folder in ("clean", "run"):
        runs.append(quick_scripts.run(tmp_path / "output", SWITCHING, *common, "--output_dir", tmp_path / folder))
        clean.append(len(toy.requests))
        toy.fault, toy.tokenizer_fault = Plan(mixed), tokenizer_fault
    assert [result.returncode for result in runs] == [0, 0], runs[1].stdout
    assert "50 samples written, 0 missing" in runs[1].stdout
    assert everything(tmp_path / "run") == everything(tmp_path / "clean")
    assert len(toy.requests) > 2.15 * clean[0]
    for path in list_files(tmp_path / "run", "sample").values():
        record = json.loads(path.read_text())
        for segment in record["segments"]:
            own = record["generated_text"][segment["start"] : segment["end"]]
            assert own == (f"{segment['seed']} " * 20)[: segment["tokens"]]


def test_a_broken_turn_is_requested_again_and_the_earlier_turns_stay(toy, tmp_path):
    toy.answer, plan = lambda request: "x" * 99, Plan(once("empty"))
    toy.fault = plan
    common = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--end_idx", 1, "--num_samples", 1]
    common += ["--k", 5, "--p", 5, "--total_new_tokens", 40, "--output_dir", tmp_path / "run"]
    assert quick_scripts.run(tmp_path / "output", SWITCHING, *common).returncode == 0
    assert list(plan.answered.values()) == [1] * 8
