"""analysis/measure_diversity.py as a user runs it."""

import json

import pytest
from scripts import run_in_process, run_script, write_converted
from toy_answers import PROBLEM

from analysis import measure_diversity
from analysis.measures import diversity
from hindsight.files.answer_files import converted_path, embedded_path
from hindsight.files.records import write_json


def write_run(folder, programs, vectors=True, model="m"):
    """A run folder with answers to the problems 0, 1, ..., one per program, and an embedding of two numbers each."""
    for question, group in enumerate(programs):
        for index, program in enumerate(group):
            write_converted(folder, question, index, program, PROBLEM)
            if vectors:
                record = json.loads(converted_path(folder, question, index).read_text())
                vector = [float(question + 1), float(index)]
                path = embedded_path(folder, question, index)
                write_json(path, {**record, "converted_embedding": vector, "generated_embedding": [1.0, 0.0]})
    step = {"embed.py": {"settings": {"embedding_model": model}}}
    write_json(folder / "run.json", {"script": "single_model_inference.py", "models": [folder.name], "steps": step})
    return folder


@pytest.mark.slow
def test_the_script_prints_and_writes_every_measure_and_difference(tmp_path):
    alike = write_run(tmp_path / "alike", [["print(1)", "print(1)"], ["print(2)", "print(2)"]])
    unlike = write_run(tmp_path / "unlike", [["print(1)", "print(2)"], ["print(2)", "print(3)"]])
    flags = ("--input_dirs", alike, unlike, "--labels", "A", "B", "--output", tmp_path / "out" / "d")
    result = run_script("analysis/measure_diversity.py", *flags, "--formats", "svg")
    assert result.returncode == 0, result.stderr
    assert "difference to A, paired by problem" in result.stdout
    assert "A: compared 4 of 4 answers" in result.stdout
    content = json.loads((tmp_path / "out" / "d.json").read_text())
    by_label = {run["label"]: run["estimates"] for run in content["runs"]}
    assert list(by_label["A"]) == list(content["measures"]) == list(diversity.MEASURES)
    assert by_label["A"]["distinct programs"] == {"mean": 0.5, "low": 0.5, "high": 0.5, "problems": 2}
    assert {"one": "B", "other": "A", "measure": "distinct programs"}.items() <= content["differences"][6].items()
    assert content["differences"][6]["mean"] == 0.5
    assert by_label["A"]["similarity"]["mean"] == pytest.approx((2**-0.5 + 2 / 5**0.5) / 2)
    assert "effective programs" in (tmp_path / "out" / "d.svg").read_text()


def test_without_embeddings_their_measures_are_left_out_and_equal_labels_are_told_apart(tmp_path):
    bare = write_run(tmp_path / "bare", [["print(1)", "print(2)"]], vectors=False)
    whole = write_run(tmp_path / "whole", [["print(1)", "print(1)"]])
    flags = ("--input_dirs", bare, whole, "--output", tmp_path / "d", "--formats", "png", "--width", 3.3)
    flags += ("--labels", "m", "m")
    result = run_in_process(measure_diversity, *flags)
    assert result.returncode == 0, result.stderr
    assert f"m, bare has no embeddings; make them with: python analysis/embed.py --input_dirs {bare}" in result.stdout
    assert (
        "left out, as a run lacks two answers to compare per problem: similarity, similarity over all" in result.stdout
    )
    content = json.loads((tmp_path / "d.json").read_text())
    assert next(iter(content["runs"][1]["estimates"])) == "distinct-1"
    assert [run["label"] for run in content["runs"]] == ["m, bare", "m, whole"]
    assert (tmp_path / "d.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--labels", "a"], "1 labels for 2 INPUT_DIRS"),
        (["--what", "raw"], "WHAT is one of generated, converted, code"),
        (["--formats", "gif"], "FORMATS are pdf, png and svg, not gif"),
        (["--width", "1"], "WIDTH is at least"),
        (["--output", ""], "OUTPUT is a path for files, not ''"),
        (["--input_dirs", "no/such/folder"], "there is no folder no/such/folder"),
        ([], "embeddings of different models cannot be compared: one by m, other by n"),
    ],
)
def test_bad_input_ends_in_one_sentence(tmp_path, flags, sentence):
    one = write_run(tmp_path / "one", [["a", "b"]])
    other = write_run(tmp_path / "other", [["a", "b"]], model="n")
    result = run_in_process(measure_diversity, "--input_dirs", one, other, "--output", tmp_path / "d", *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
    assert not list(tmp_path.glob("d.*"))
