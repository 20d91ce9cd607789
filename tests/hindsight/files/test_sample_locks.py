"""Several processes in one folder make each sample once and leave no locks; shards and later runs add up."""

import collections
import errno
import os
from unittest import mock

import pytest
import quick_scripts
from lock_holder import LockHolder
from quick_scripts import SINGLE, SWITCHING, everything
from scripts import run_in_process, wait_until

import single_model_inference
from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run
from hindsight.files.sample_locks import SampleLocks

pytestmark = pytest.mark.slow  # together they take over ten seconds

ALL = {(question, index) for question in range(12) for index in range(3)}


@pytest.fixture
def flags(toy, tmp_path):
    """Twelve problems, three samples each, into tmp_path/run."""
    common = ["--base_urls", toy.url, "--output_dir", tmp_path / "run", "--end_idx", 12, "--num_samples", 3]
    return [*common, "--concurrency", 4]


def there(tmp_path):
    return set(list_files(tmp_path / "run", "sample"))


def times_asked(toy):
    """How often each seed was sent, by how many seeds."""
    return collections.Counter(collections.Counter(request["seed"] for request in toy.requests).values())


@pytest.fixture
def holder(tmp_path):
    """Locks samples of tmp_path/run in another process."""
    started = []

    def begin(samples):
        (tmp_path / "run").mkdir(exist_ok=True)
        started.append(LockHolder(tmp_path / "run", samples))
        assert started[-1].locked == [True] * len(samples)
        return started[-1]

    yield begin
    for each in started:
        each.kill()


def test_a_lock_has_one_owner_until_it_is_released_or_the_owner_is_killed(tmp_path, holder):
    other = holder([(7, 0), (7, 1)])
    with SampleLocks(tmp_path / "run") as locks:
        assert [locks.acquire(7, index) for index in range(3)] == [False, False, True]
        assert locks.acquire(8, 0)
        other.kill()
        assert [locks.acquire(7, index) for index in range(3)] == [True] * 3
        locks.release(7, 2)
        holder([(7, 2)]).release()
        assert locks.acquire(7, 2)


def test_each_sample_has_its_own_lock(tmp_path, holder):
    samples = [(0, 0), (0, (1 << 20) - 1), (1, 0), (10**9, 3), (2**40, 0)]
    holder(samples)
    with SampleLocks(tmp_path / "run") as locks:
        assert not any(locks.acquire(*sample) for sample in samples)
        assert all(locks.acquire(question, index + 1) for question, index in samples if index < 9)


def test_two_processes_at_once_ask_for_no_sample_twice_and_both_end(flags, toy, tmp_path):
    toy.delay = 0.3
    scripts = [quick_scripts.start(tmp_path / f"said{number}", SINGLE, *flags) for number in range(2)]
    results = [script.wait() for script in scripts]
    assert there(tmp_path) == ALL
    assert times_asked(toy) == {1: len(ALL)}
    written = [int(result.stdout.split(" samples written")[0].split("\n")[-1]) for result in results]
    assert sum(written) == len(ALL)
    assert min(written) > 0


def test_two_switching_processes_at_once_ask_for_no_turn_twice(toy, tmp_path):
    toy.delay, toy.answer = 0.02, lambda request: "x" * 99
    flags = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--output_dir", tmp_path / "run"]
    flags += ["--end_idx", 12, "--num_samples", 3, "--k", 9, "--p", 9, "--total_new_tokens", 18, "--concurrency", 4]
    scripts = [quick_scripts.start(tmp_path / f"said{number}", SWITCHING, *flags) for number in range(2)]
    for script in scripts:
        script.wait()
    assert there(tmp_path) == ALL
    assert times_asked(toy) == {1: 2 * len(ALL)}


def test_a_killed_process_leaves_nothing_locked(flags, toy, tmp_path):
    toy.delay = 0.2
    first = quick_scripts.start(tmp_path / "said", SINGLE, *flags)
    wait_until(lambda: len(toy.requests) >= 6)
    first.kill()
    result = quick_scripts.run(tmp_path / "said", SINGLE, *flags)
    assert (result.returncode, there(tmp_path)) == (0, ALL)
    assert "another process" not in result.stdout


def test_a_sample_locked_by_another_process_is_left_to_it_and_reported(flags, toy, tmp_path, holder):
    holder([(2, 0), (5, 1)])
    result = quick_scripts.run(tmp_path / "said", SINGLE, *flags)
    assert (result.returncode, there(tmp_path)) == (1, ALL - {(2, 0), (5, 1)})
    assert "34 samples written, 2 missing" in result.stdout
    assert "2 samples were left to another process that works in this folder" in result.stdout


def test_the_samples_of_a_killed_process_are_made_by_the_other(flags, toy, tmp_path, holder):
    toy.delay = 0.02
    other = holder([(0, 0), (0, 1)])
    script = quick_scripts.start(tmp_path / "said", SINGLE, *flags)
    wait_until(lambda: len(toy.requests) >= 8)
    other.kill()
    assert script.wait().returncode == 0
    assert there(tmp_path) == ALL


@pytest.mark.parametrize("at_once", [False, True])
def test_shards_give_the_whole_set_once(flags, toy, tmp_path, at_once):
    quick_scripts.run(tmp_path / "said", SINGLE, *flags, "--output_dir", tmp_path / "whole")
    toy.requests.clear()
    toy.delay = 0.01
    shards = [[*flags, "--shards", 3, "--shard", shard] for shard in range(3)]
    if at_once:
        scripts = [quick_scripts.start(tmp_path / f"said{shard[-1]}", SINGLE, *shard) for shard in shards]
        results = [script.wait() for script in scripts]
    else:
        results = [quick_scripts.run(tmp_path / "said", SINGLE, *shard) for shard in shards]
    assert [result.returncode for result in results] == [0, 0, 0]
    assert all("12 samples written, 0 missing" in result.stdout for result in results)
    assert times_asked(toy) == {1: len(ALL)}
    assert everything(tmp_path / "run") == everything(tmp_path / "whole")
    assert read_run(tmp_path / "run")["problems"]["count"] == 12


def test_a_shard_out_of_range_is_refused(flags, tmp_path):
    for shard in (3, -1):
        result = quick_scripts.run(tmp_path / "said", SINGLE, *flags, "--shards", 3, "--shard", shard)
        assert (result.returncode, "SHARD is at least 0 and less than SHARDS" in result.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_on_a_disk_without_locks_shards_alone_give_the_whole_set(flags, toy, tmp_path, number):
    with mock.patch("fcntl.lockf", side_effect=OSError(number, os.strerror(number))):
        refused = run_in_process(single_model_inference, *flags, "--shards", 2)
        assert refused.returncode == 2
        assert f".lock cannot be locked ({os.strerror(number)}): give a folder on another disk, or" in refused.stderr
        assert "Traceback" not in refused.stderr and not there(tmp_path)
        for shard in range(2):
            result = run_in_process(single_model_inference, *flags, "--shards", 2, "--shard", shard, "--locks", "false")
            assert result.returncode == 0, result.stderr
            assert f"without locks no other process may sample shard {shard} of 2" in result.stdout
    assert (there(tmp_path), times_asked(toy)) == (ALL, {1: len(ALL)})


def test_without_locks_and_without_shards_nothing_is_sampled(flags, tmp_path):
    result = run_in_process(single_model_inference, *flags, "--locks", "false")
    assert (result.returncode, "without LOCKS shards must divide the work" in result.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_ranges_of_problems_add_up_to_the_whole_set(flags, toy, tmp_path):
    quick_scripts.run(tmp_path / "said", SINGLE, *flags, "--output_dir", tmp_path / "whole")
    toy.requests.clear()
    for begin, end in ((0, 5), (5, 12)):
        span = ["--begin_idx", begin, "--end_idx", end]
        assert quick_scripts.run(tmp_path / "said", SINGLE, *flags, *span).returncode == 0
        assert {question for question, _ in there(tmp_path)} == set(range(end))
    assert times_asked(toy) == {1: len(ALL)}
    assert everything(tmp_path / "run") == everything(tmp_path / "whole")


def test_adding_samples_later_gives_the_same_as_asking_for_all_at_once(flags, toy, tmp_path):
    quick_scripts.run(tmp_path / "said", SINGLE, *flags, "--num_samples", 5, "--output_dir", tmp_path / "whole")
    quick_scripts.run(tmp_path / "said", SINGLE, *flags)
    toy.requests.clear()
    result = quick_scripts.run(tmp_path / "said", SINGLE, *flags, "--num_samples", 5)
    assert (result.returncode, len(toy.requests)) == (0, 24)
    assert everything(tmp_path / "run") == everything(tmp_path / "whole")
