"""How far a run is, from the files of its folder: counts, rates, locks, and files that change while it is read."""

import json
import os
import time

import pytest
import quick_scripts
from lock_holder import LockHolder
from quick_scripts import SINGLE
from scripts import write_converted

from hindsight.files import run_progress
from hindsight.files.answer_files import NO_ANSWERS, sample_path
from hindsight.files.run_progress import Rate, RunWatch, Sampled, is_run, recent_rate
from hindsight.files.runs import read_run
from hindsight.files.sample_locks import is_locked

NOW = 1_700_000_100.0  # 2023-11-14, 22:15:00 UTC; the run starts 100 seconds earlier
RUN = {
    "script": "single_model_inference.py",
    "settings": {"num_samples": 2},
    "models": ["lab-instruct"],
    "problems": {"question_ids": [3, 4, 5]},
    "started": "2023-11-14T22:13:20+00:00",
    "ended": None,
}


def write_run(folder, **more):
    (folder / "run.json").write_text(json.dumps({**RUN, **more}))


def write_answer(folder, question_id, sample_index, at=NOW, tokens=10, **more):
    """A raw answer that was written at a time."""
    path = sample_path(folder, question_id, sample_index)
    usage = {} if tokens is None else {"usage": {"prompt_tokens": 7, "completion_tokens": tokens}}
    path.write_text(json.dumps({"generated_text": "x", **usage, **more}))
    os.utime(path, (at, at))


def answers(*times, tokens=10):
    return [Sampled(float(each), tokens, True) for each in times]


# by hand: five answers of ten tokens each, at 10, 20, 30, 40 and 50 seconds, seen at 100
@pytest.mark.parametrize(
    ("start", "most", "rate"),
    [
        (0.0, 9, Rate(5 / 100, 50 / 100)),  # since the start
        (0.0, 2, Rate(2 / 70, 20 / 70)),  # the last two, since the third
        (35.0, 9, Rate(2 / 65, 20 / 65)),  # since a resume at 35
        (35.0, 1, Rate(1 / 60, 10 / 60)),  # the last one, since the fourth
        (None, 9, Rate(4 / 90, 40 / 90)),  # since the first, as the start is unknown
        (60.0, 9, None),  # none since the resume
    ],
)
def test_the_rate_is_that_of_the_last_answers_since_the_last_start(start, most, rate):
    assert recent_rate(answers(50, 10, 30, 20, 40), start, 100.0, most) == rate


def test_the_rate_of_answers_without_times_or_tokens_is_unknown():
    assert recent_rate([], 0.0, 100.0) is None
    assert recent_rate([Sampled(None, 10, True)], 0.0, 100.0) is None
    assert recent_rate(answers(10), None, 10.0) is None
    assert recent_rate([*answers(10), *answers(20, tokens=None)], 0.0, 100.0) == Rate(2 / 100, None)


def test_counts_of_a_run_that_is_half_done(tmp_path):
    write_run(tmp_path)
    for key, at in (((3, 0), NOW - 60), ((3, 1), NOW - 30), ((4, 0), NOW - 10)):
        write_answer(tmp_path, *key, at=at)
    write_answer(tmp_path, 3, 2, at=NOW - 20)  # of an earlier call with more samples
    write_answer(tmp_path, 9, 0, at=NOW - 20)  # of another range of problems
    sample_path(tmp_path, 5, 0).write_text('{"generated_te')
    (tmp_path / ".question_5_sample_1.json.host.12.tmp").write_text("{")
    (tmp_path / "converted_question_3_sample_0_with_embeddings.json").write_text("{}")
    look = RunWatch(tmp_path).look(NOW)
    assert (look.done, look.wanted, look.missing, look.others, look.broken) == (5, 6, 3, 2, 1)
    assert (look.completion_tokens, look.without_tokens) == (50, 0)
    assert (look.answers_per_second, look.tokens_per_second) == (5 / 100, 50 / 100)
    assert look.seconds_left == 60  # three answers at one in 20 seconds
    assert (look.failed, look.model, look.alpha) == (None, "lab-instruct", None)
    assert (look.time, look.last_answer) == ("2023-11-14T22:15:00+00:00", "2023-11-14T22:14:50+00:00")


def test_a_resumed_run_has_the_rate_since_its_resume(tmp_path):
    write_run(tmp_path, resumed="2023-11-14T22:14:40+00:00")  # 20 seconds ago
    for index, at in enumerate((NOW - 99, NOW - 98, NOW - 5)):
        write_answer(tmp_path, 3 + index, 0, at=at)
    look = RunWatch(tmp_path).look(NOW)
    assert (look.answers_per_second, look.seconds_left) == (1 / 20, 60)


def test_a_complete_run_has_the_rate_up_to_its_last_answer(tmp_path):
    write_run(tmp_path, failed={"refused": 2, "too long": 1}, settings={"num_samples": 1})
    for question, at in ((3, NOW - 80), (4, NOW - 70), (5, NOW - 60)):
        write_answer(tmp_path, question, 0, at=at)
    look = RunWatch(tmp_path).look(NOW)
    assert (look.sampling, look.missing, look.failed, look.seconds_left) == ("complete", 0, 3, 0)
    assert look.answers_per_second == 3 / 40


def test_what_is_unknown_is_none_and_never_zero(tmp_path):
    write_answer(tmp_path, 3, 0, tokens=None)
    look = RunWatch(tmp_path).look(NOW)
    unknown = [look.wanted, look.missing, look.others, look.failed, look.completion_tokens, look.seconds_left]
    assert (look.sampling, look.done, look.without_tokens) == ("unknown", 1, 1)
    assert unknown == [None] * 6


def test_a_folder_of_converted_answers_alone_has_verdicts_but_no_rate(tmp_path):
    write_converted(tmp_path, 3, 0, "", {}, correctness=True, correctness_reason="", usage={"completion_tokens": 8})
    look = RunWatch(tmp_path).look(NOW)
    assert (look.done, look.completion_tokens, look.last_answer, look.answers_per_second) == (1, 8, None, None)
    assert look.verdicts == {"correct": 1}


def test_verdicts_so_far(tmp_path):
    verdicts = [(True, ""), (False, "wrong answer"), (False, "runtime error: ValueError"), (None, "not judged: why")]
    write_run(tmp_path)
    for number, (correctness, reason) in enumerate([*verdicts, (True, "")]):
        write_converted(tmp_path, number, 0, "", {}, correctness=correctness, correctness_reason=reason)
    write_converted(tmp_path, 7, 0, "", {})
    (tmp_path / "converted_question_8_sample_0.json").write_text('{"converted_')
    (tmp_path / NO_ANSWERS).write_text('{"question_9_sample_0.json": "cut off in its thought"}')
    look = RunWatch(tmp_path).look(NOW)
    assert (look.converted, look.no_answer, look.checked) == (6, 1, 5)
    assert look.verdicts == {"correct": 2, "wrong answer": 1, "runtime error": 1, "not judged": 1}


def test_a_run_converted_into_another_folder_is_found_from_there(tmp_path):
    raw, other = tmp_path / "raw", tmp_path / "other"
    raw.mkdir()
    other.mkdir()
    write_answer(raw, 3, 0)
    write_answer(raw, 3, 1)
    write_run(other, steps={"format_converter.py": {"settings": {"input_dir": str(raw)}}})
    write_converted(other, 3, 0, "", {})
    look = RunWatch(other).look(NOW)
    assert (look.done, look.missing, look.converted) == (2, 4, 1)


def test_a_second_look_reads_only_new_and_changed_files(tmp_path, monkeypatch):
    write_run(tmp_path)
    write_answer(tmp_path, 3, 0)
    write_answer(tmp_path, 3, 1)
    write_converted(tmp_path, 3, 0, "", {}, usage={"completion_tokens": 10})
    read, real = [], run_progress._read
    monkeypatch.setattr(run_progress, "_read", lambda path: read.append(path.name) or real(path))
    watch = RunWatch(tmp_path)
    assert watch.look(NOW).completion_tokens == 20
    assert read == ["converted_question_3_sample_0.json", "question_3_sample_1.json"]  # the copy holds the tokens
    write_answer(tmp_path, 4, 0)
    write_converted(tmp_path, 3, 0, "", {}, correctness=True, correctness_reason="", usage={"completion_tokens": 10})
    read.clear()
    look = watch.look(NOW)
    assert (look.completion_tokens, look.verdicts) == (30, {"correct": 1})
    assert read == ["converted_question_3_sample_0.json", "question_4_sample_0.json"]
    sample_path(tmp_path, 4, 0).unlink()
    assert watch.look(NOW).done == 2


def test_files_that_vanish_while_they_are_read_do_not_count(tmp_path, monkeypatch):
    write_run(tmp_path)
    for question in (3, 4, 5):
        write_answer(tmp_path, question, 0)
    real = run_progress._read

    def vanish(path):
        if path.name == "question_4_sample_0.json":
            path.unlink()
        return real(path)

    monkeypatch.setattr(run_progress, "_read", vanish)
    look = RunWatch(tmp_path).look(NOW)
    assert (look.done, look.missing, look.broken) == (2, 4, 0)


def test_an_incomplete_file_is_read_again_until_it_is_whole(tmp_path):
    write_run(tmp_path)
    sample_path(tmp_path, 3, 0).write_text("")
    watch = RunWatch(tmp_path)
    assert (watch.look(NOW).done, watch.look(NOW).broken) == (0, 1)
    write_answer(tmp_path, 3, 0)
    assert (watch.look(NOW).done, watch.look(NOW).broken) == (1, 0)


def test_a_number_that_only_pythons_reader_takes_is_no_fault(tmp_path):
    sample_path(tmp_path, 3, 0).write_text('{"usage": {"completion_tokens": 5}, "logprobs": [NaN]}')
    look = RunWatch(tmp_path).look(NOW)
    assert (look.done, look.completion_tokens) == (1, 5)


def test_what_a_run_is(tmp_path):
    assert not is_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    assert is_run(tmp_path)
    (tmp_path / "run.json").unlink()
    write_answer(tmp_path, 3, 0)
    assert is_run(tmp_path)


def test_a_held_lock_means_running_and_a_free_one_stopped_after_a_silent_minute(tmp_path):
    write_run(tmp_path)
    write_answer(tmp_path, 3, 0, at=NOW - 61)
    assert (is_locked(tmp_path), RunWatch(tmp_path).look(NOW).sampling) == (None, "unknown")
    holder = LockHolder(tmp_path, [(2**40, 7)])
    assert holder.locked == [True]
    assert (is_locked(tmp_path), RunWatch(tmp_path).look(NOW).sampling) == (True, "running")
    holder.kill()
    look = RunWatch(tmp_path).look(NOW)
    assert (is_locked(tmp_path), look.sampling, look.seconds_left) == (False, "stopped", None)
    assert RunWatch(tmp_path).look(NOW - 30).sampling == "unknown"  # locks may not be shared with that machine


def test_a_run_of_two_shards_is_watched_from_its_start_to_its_end(toy, tmp_path):
    """The first shard is killed in the middle and resumed; every look agrees with the files."""
    toy.delay = 0.2
    flags = ["--base_urls", toy.url, "--output_dir", tmp_path / "run", "--end_idx", 12, "--num_samples", 2]
    shards = [[*flags, "--concurrency", 4, "--shards", 2, "--shard", shard] for shard in range(2)]
    first, second = (quick_scripts.start(tmp_path / f"said{shard[-1]}", SINGLE, *shard) for shard in shards)
    watch = RunWatch(tmp_path / "run")
    until = time.monotonic() + 30
    while len(toy.requests) < 12 and time.monotonic() < until:
        time.sleep(0.01)
    look = watch.look()
    assert (look.sampling, look.wanted, look.failed) == ("running", 24, None)
    assert look.done + look.missing == 24 and look.missing > 0
    first.kill()
    assert second.wait().returncode == 0
    halfway = watch.look()
    assert halfway.done == len(list((tmp_path / "run").glob("question_*"))) == 24 - halfway.missing
    assert quick_scripts.run(tmp_path / "said", SINGLE, *shards[0]).returncode == 0
    look = watch.look()
    assert (look.sampling, look.done, look.missing, look.failed, look.others) == ("complete", 24, 0, 0, 0)
    assert (look.completion_tokens or 0) > 0 and look.answers_per_second
    assert "resumed" in read_run(tmp_path / "run")
