"""Where a run's raw answers are."""

from hindsight.files.records import write_json
from hindsight.files.runs import raw_folder


def converted_from(folder, source):
    folder.mkdir(exist_ok=True)
    step = {"format_converter.py": {"script": "format_converter.py", "settings": {"input_dir": str(source)}}}
    write_json(folder / "run.json", {"script": "single_model_inference.py", "steps": step})
    return folder


def test_raw_answers_are_where_the_converter_read_them(tmp_path):
    (tmp_path / "raw").mkdir()
    assert raw_folder(converted_from(tmp_path / "converted", tmp_path / "raw")) == tmp_path / "raw"
    assert raw_folder(converted_from(tmp_path / "other", tmp_path / "gone")) == tmp_path / "other"


def test_a_run_that_was_moved_does_not_take_the_answers_of_the_run_in_its_old_place(tmp_path):
    (tmp_path / "old").mkdir()
    moved = converted_from(tmp_path / "new", tmp_path / "old")
    (moved / "question_0_sample_0.json").write_text("{}")
    assert raw_folder(moved) == moved
