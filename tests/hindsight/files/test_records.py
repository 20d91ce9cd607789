"""The files between the scripts are whole or missing and found by name; run.json refuses other settings."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hindsight.errors import UserError
from hindsight.files import answer_files, records
from hindsight.files.runs import open_run, open_step, read_run
from hindsight.settings import Settings

SETTINGS = Settings({"seed": 0, "alphas": [0.7], "workers": 2, "allow_other_settings": False})
MAY_DIFFER = ("workers",)


def changed(**values):
    return Settings({**SETTINGS, **values})


def test_files_are_listed_by_kind_and_in_order(tmp_path):
    for name in ("question_10_sample_1", "question_2_sample_0", "converted_question_2_sample_0", "question_x_sample_0"):
        (tmp_path / f"{name}.json").write_text("{}")
    (tmp_path / "converted_question_2_sample_0_with_embeddings.json").write_text("{}")
    assert list(answer_files.list_files(tmp_path, "sample")) == [(2, 0), (10, 1)]
    assert list(answer_files.list_files(tmp_path, "converted")) == [(2, 0)]
    assert list(answer_files.list_files(tmp_path, "embedded")) == [(2, 0)]


@pytest.mark.parametrize("text", ["plain", "é 数 \U0001f600", "half a pair \ud83d", "nul \0"])
def test_any_text_is_read_as_it_was_written(tmp_path, text):
    path = tmp_path / "question_0_sample_0.json"
    records.write_json(path, {"generated_text": text})
    assert records.read_record(path) == {"generated_text": text}


def test_broken_files_among_good_ones_are_named_and_the_good_ones_read(tmp_path):
    contents = ['{"a": 1}', '{"a": ', "[1]", '{"b": 1}', '{"a": 2}']
    for number, content in enumerate(contents):
        (tmp_path / f"question_{number}_sample_0.json").write_text(content)
    broken = []
    read = list(records.read_records(answer_files.list_files(tmp_path, "sample"), ("a",), broken))
    assert [record["a"] for _, record in read] == [1, 2]
    assert read[1][1]["question_id"] == 4
    assert ["question_1" in broken[0], "a list" in broken[1], "lacks a" in broken[2]] == [True] * 3


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    path = tmp_path / "question_0_sample_0.json"

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        records.write_json(path, {"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_while_it_writes_leaves_whole_files_or_none(tmp_path):
    code = (
        "import itertools, pathlib, sys; from hindsight.files import answer_files, records\n"
        "for i in itertools.count(): records.write_json("
        "answer_files.sample_path(pathlib.Path(sys.argv[1]), i % 7, 0), {'number': i, 'text': 'x' * 300_000})"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for files in range(1, 4):
        for path in tmp_path.glob("question_*"):
            path.unlink()
        process = subprocess.Popen([sys.executable, "-c", code, tmp_path], env=environment)
        while len(list(tmp_path.glob("question_*"))) < files:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in answer_files.list_files(tmp_path, "sample").values():
            assert len(json.loads(path.read_text())["text"]) == 300_000
    records.remove_leftovers(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_the_temporary_file_of_a_running_process_is_kept(tmp_path):
    temporary = tmp_path / f".a.json.{os.uname().nodename}.{os.getpid()}.tmp"
    temporary.write_text("")
    records.remove_leftovers(tmp_path)
    assert temporary.exists()


def test_the_temporary_file_of_another_machine_is_kept_for_a_day(tmp_path):
    new, old = tmp_path / ".a.json.other.1.tmp", tmp_path / ".b.json.other.1.tmp"
    for path in (new, old):
        path.write_text("")
    os.utime(old, (time.time() - 100_000,) * 2)
    records.remove_leftovers(tmp_path)
    assert (new.exists(), old.exists()) == (True, False)


def test_run_json_records_what_made_the_folder(tmp_path):
    run = open_run(tmp_path / "new", "sample.py", SETTINGS, MAY_DIFFER, models=["m"])
    assert read_run(tmp_path / "new")["ended"] is None
    run.close(missing=0)
    content = read_run(tmp_path / "new")
    assert (content["script"], content["settings"]["alphas"], content["models"]) == ("sample.py", [0.7], ["m"])
    assert content["ended"] >= content["started"]


def test_the_same_settings_resume_a_run_and_other_settings_are_refused_by_name(tmp_path):
    open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER)
    open_run(tmp_path, "sample.py", changed(workers=8), MAY_DIFFER)
    with pytest.raises(UserError, match=r"seed was 0, is 1\)"):
        open_run(tmp_path, "sample.py", changed(seed=1), MAY_DIFFER)
    with pytest.raises(UserError, match=r"holds a run of sample.py"):
        open_run(tmp_path, "other.py", SETTINGS, MAY_DIFFER)


def test_a_setting_that_no_script_listed_is_compared_by_default(tmp_path):
    open_run(tmp_path, "sample.py", changed(new_flag="a"), MAY_DIFFER)
    with pytest.raises(UserError, match="new_flag was 'a', is 'b'"):
        open_run(tmp_path, "sample.py", changed(new_flag="b"), MAY_DIFFER)
    open_run(tmp_path, "sample.py", changed(new_flag="b"), (*MAY_DIFFER, "new_flag"))
    open_step(tmp_path, "check.py", changed(new_flag="a"), MAY_DIFFER)
    with pytest.raises(UserError, match="new_flag was 'a', is 'b'"):
        open_step(tmp_path, "check.py", changed(new_flag="b"), MAY_DIFFER)


def test_a_setting_that_an_earlier_version_lacked_counts_as_off(tmp_path):
    open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER)
    open_run(tmp_path, "sample.py", changed(new_flag=False), MAY_DIFFER)
    with pytest.raises(UserError, match="new_flag was None, is True|new_flag was False, is True"):
        open_run(tmp_path, "sample.py", changed(new_flag=True), MAY_DIFFER)


def test_another_version_of_the_problem_set_is_refused(tmp_path):
    open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER, problems={"dataset": "p.jsonl", "digest": "sha256:1"})
    with pytest.raises(UserError, match="the problem set was sha256:1, is sha256:2"):
        open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER, problems={"dataset": "p.jsonl", "digest": "sha256:2"})


def test_other_settings_that_are_allowed_keep_the_old_ones_on_record(tmp_path):
    open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER).close()
    open_run(tmp_path, "sample.py", changed(seed=1, allow_other_settings=True), MAY_DIFFER)
    content = read_run(tmp_path)
    assert (content["settings"]["seed"], content["earlier"][0]["settings"]["seed"]) == (1, 0)


def test_a_step_has_its_own_entry_and_settings(tmp_path):
    open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER).close()
    open_step(tmp_path, "check.py", SETTINGS, MAY_DIFFER).close(correct=3)
    with pytest.raises(UserError, match="made by check"):
        open_step(tmp_path, "check.py", changed(seed=2), MAY_DIFFER)
    content = read_run(tmp_path)
    assert (content["script"], content["steps"]["check.py"]["correct"]) == ("sample.py", 3)


def test_a_step_into_another_folder_copies_the_runs_entry(tmp_path):
    open_run(tmp_path / "raw", "sample.py", SETTINGS, MAY_DIFFER, models=["m"]).close()
    open_step(tmp_path / "converted", "convert.py", SETTINGS, MAY_DIFFER, source=tmp_path / "raw").close()
    content = read_run(tmp_path / "converted")
    assert (content["models"], list(content["steps"])) == (["m"], ["convert.py"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"steps": []}, None),
        ({"steps": None, "settings": None, "models": None}, None),
        ({"steps": [1]}, "steps is a list, expected a dict"),
        ({"steps": {"check.py": [1]}}, "has a list where the entry of a script was expected"),
        ({"steps": {"check.py": {"settings": "x"}}}, "settings is a str, expected a dict"),
        ({"models": "m"}, "models is a str, expected a list"),
        ({"settings": {"merged_from": ["a", "b", "0.7", "mlp:0.9"]}}, None),
        ({"settings": {"merged_from": ["a", "b"]}}, r"merged_from is \['a', 'b'\], expected a base"),
        ({"settings": {"merged_from": ["a", "b", "nan"]}}, "merged_from is"),
        ({"settings": {"merged_from": "a b 0.7"}}, "merged_from is"),
    ],
)
def test_a_run_file_of_another_form_is_named(tmp_path, content, sentence):
    (tmp_path / "run.json").write_text(json.dumps({"script": "sample.py", **content}))
    if sentence is None:
        assert read_run(tmp_path)["steps"] == {}
        return
    with pytest.raises(UserError, match=sentence):
        read_run(tmp_path)


def test_a_file_whose_number_these_scripts_do_not_write_is_no_answer(tmp_path):
    """Of these, one names another file and one an index for which the list of samples would take gigabytes."""
    for name in ("question_07_sample_0", "question_\u0661_sample_0", "question_1_sample_99999999999"):
        (tmp_path / f"{name}.json").write_text("{}")
    (tmp_path / "question_70_sample_999999.json").write_text("{}")
    assert list(answer_files.list_files(tmp_path, "sample")) == [(70, 999999)]


def test_a_broken_list_of_raw_files_without_an_answer_is_named(tmp_path):
    for content in ('["a', "[1]"):
        (tmp_path / answer_files.NO_ANSWERS).write_text(content)
        with pytest.raises(UserError, match=r"no_answers.json .*; delete it, and format_converter.py writes it again"):
            answer_files.read_no_answers(tmp_path)


def test_a_broken_run_file_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run.json is not valid JSON"):
        open_run(tmp_path, "sample.py", SETTINGS, MAY_DIFFER)
