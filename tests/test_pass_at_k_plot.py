"""Step 5 as a user runs it: the curves' numbers, what they rest on, and what is refused."""

import json

import pytest
from scripts import run_script, write_converted

SCRIPT = "pass_at_k_plot.py"


def make_run(folder, verdicts):
    """A checked run: `verdicts` holds, for each question, the verdict of each sample."""
    for question, samples in enumerate(verdicts):
        for index, correct in enumerate(samples):
            write_converted(folder, question, index, "print()", {}, correctness=correct)
    return folder


def plot(tmp_path, *folders, ks=(1, 2), labels=()):
    flags = ["--output", tmp_path / "out", "--ks", *ks, "--input_dirs", *folders]
    result = run_script(SCRIPT, *flags, *(["--labels", *labels] if labels else []))
    path = tmp_path / "out.json"
    return result, json.loads(path.read_text()) if path.exists() else None


def test_numbers_are_the_estimators_mean_over_problems(tmp_path):
    one = make_run(tmp_path / "one", [[True, False, False], [True, True, True]])
    two = make_run(tmp_path / "two", [[False, False]])
    result, numbers = plot(tmp_path, one, two, labels=["first", "second"])
    assert result.returncode == 0, result.stderr
    first, second = numbers["curves"]
    assert (first["label"], first["problems"], first["samples"], first["correct"]) == ("first", 2, 6, 4)
    assert first["values"] == {"1": pytest.approx(2 / 3), "2": pytest.approx((2 / 3 + 1) / 2)}
    assert second["values"] == {"1": 0.0, "2": 0.0}
    assert "first          2        6    0.667    0.833" in result.stdout


def test_a_pdf_and_a_png_are_written(tmp_path):
    plot(tmp_path, make_run(tmp_path / "one", [[True, False]]))
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_answers_that_could_not_be_converted_count_as_wrong_and_are_said(tmp_path):
    run = make_run(tmp_path / "one", [[True, True]])
    for name in ("question_0_sample_2", "question_1_sample_0", "question_1_sample_1"):
        (run / f"{name}.json").write_text("{}")
    (run / "question_0_sample_0.json").write_text("{}")
    result, numbers = plot(tmp_path, run, ks=(1,))
    assert numbers["curves"][0]["values"]["1"] == pytest.approx((2 / 3 + 0) / 2)
    assert "3 of 5 answers could not be converted" in result.stdout


def test_a_k_above_the_samples_of_a_problem_is_refused_with_the_problem(tmp_path):
    run = make_run(tmp_path / "one", [[True, True], [True]])
    result, numbers = plot(tmp_path, run)
    assert (result.returncode, numbers) == (2, None)
    assert "1 problems have fewer (question 1 has 1)" in result.stderr


def test_answers_without_a_verdict_are_refused_not_counted_as_wrong(tmp_path):
    run = make_run(tmp_path / "one", [[True, None]])
    result, _ = plot(tmp_path, run, ks=(1,))
    assert (result.returncode, "1 of 2 answers" in result.stderr) == (2, True)


def test_a_broken_file_is_named_and_the_rest_drawn(tmp_path):
    run = make_run(tmp_path / "one", [[True, False], [True, True]])
    (run / "converted_question_1_sample_1.json").write_text("{")
    result, numbers = plot(tmp_path, run, ks=(1,))
    assert (result.returncode, numbers["curves"][0]["samples"]) == (1, 3)
    assert "converted_question_1_sample_1.json is not whole JSON" in result.stdout


def test_bad_input_is_one_sentence(tmp_path):
    run = make_run(tmp_path / "one", [[True]])
    for flags, sentence in (
        ({"ks": (0,)}, "whole numbers from 1 up"),
        ({"ks": (1,), "labels": ("a", "b")}, "2 labels for 1 folders"),
    ):
        result, _ = plot(tmp_path, run, **flags)
        assert (result.returncode, sentence in result.stderr) == (2, True)
    result, _ = plot(tmp_path, tmp_path / "none")
    assert (result.returncode, "there is no folder" in result.stderr) == (2, True)
