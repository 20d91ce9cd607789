"""A run as EvalPlus's samples: one line per sampled answer, also for those without a program."""

import json

import pytest
from scripts import write_converted

from hindsight.errors import UserError
from hindsight.files.answer_files import sample_path
from hindsight.files.evalplus_samples import export_evalplus

TASKS = {2: {"task_id": "Mbpp/2", "fn_name": "add"}, 10: {"task_id": "Mbpp/10", "fn_name": "f"}}
RIGHT = "def add(a, b):\n    return a + b\n"


def write_raw(folder, question, index, metadata):
    record = {"generated_text": "", "metadata": metadata, "question_id": question, "sample_index": index}
    sample_path(folder, question, index).write_text(json.dumps(record))


def test_each_sampled_answer_is_a_line_and_one_without_a_program_is_empty(tmp_path):
    run = tmp_path / "run"
    for question, index, program in ((10, 0, "def f(): return '数'"), (2, 1, RIGHT), (2, 0, "def other(): pass")):
        write_converted(run, question, index, program, TASKS[question])
    for question, index in ((2, 0), (2, 1), (2, 2), (10, 0)):
        write_raw(run, question, index, TASKS[question])
    said = export_evalplus(run, tmp_path / "out" / "samples.jsonl")
    samples = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert [(each["task_id"], each["solution"].strip()) for each in samples] == [
        ("Mbpp/2", "def other(): pass"), ("Mbpp/2", RIGHT.strip()), ("Mbpp/2", ""), ("Mbpp/10", "def f(): return '数'"),
    ]  # fmt: skip
    assert said.endswith("samples.jsonl: 4 samples of 2 tasks in EvalPlus's form, 1 of them without a program")


def test_a_run_of_another_set_and_a_broken_file_are_one_sentence(tmp_path):
    write_converted(tmp_path / "run", 1, 0, RIGHT, {"fn_name": "add"})
    with pytest.raises(UserError, match="names no task of EvalPlus"):
        export_evalplus(tmp_path / "run", tmp_path / "samples.jsonl")
    path = write_converted(tmp_path / "run", 0, 0, RIGHT, TASKS[2])
    path.write_text("{")
    with pytest.raises(UserError, match="is not valid JSON.*repair or delete it"):
        export_evalplus(tmp_path / "run", tmp_path / "samples.jsonl")
    assert not (tmp_path / "samples.jsonl").exists()
