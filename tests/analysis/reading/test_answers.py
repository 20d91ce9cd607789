"""Answers of run folders with their verdicts."""

import json

import pytest
from scripts import write_converted
from toy_answers import PROBLEM

from analysis.measures import correctness
from analysis.reading import answers, curated_rows, vectors
from hindsight.errors import UserError
from hindsight.files.masks import read_mask
from hindsight.files.records import write_json
from hindsight.pass_at_k.estimators import pass_at_ks
from hindsight.pass_at_k.run_counts import count_folder


def test_pass_at_k_equals_the_plotting_scripts_and_unconverted_answers_count_as_wrong(tmp_path):
    for question, verdicts in {1: [True, False], 2: [False, False], 3: [True]}.items():
        for index, verdict in enumerate(verdicts):
            more = {"correctness": verdict, "correctness_reason": "" if verdict else "runtime error: ValueError"}
            write_converted(tmp_path / "r", question, index, "print(1)", PROBLEM, **more)
    raw = {"prompt": "", "generated_text": "nothing", "metadata": PROBLEM}
    write_json(tmp_path / "r" / "question_3_sample_1.json", raw)
    loaded = answers.load_answers(tmp_path / "r", "r")
    assert [a.verdict for a in loaded] == ["correct", *["runtime error"] * 3, "correct", "not converted"]
    assert (loaded[0].code, loaded[-1].code) == ("print(1)\n", None)
    counts = count_folder(tmp_path / "r", read_mask(""))
    values = pass_at_ks(counts.samples, counts.correct, [1, 2]).mean(axis=0)
    estimates = correctness.pass_at_k(loaded, (1, 2))
    assert [estimates[k].mean for k in (1, 2)] == pytest.approx(list(values))
    assert estimates[2].mean == pytest.approx(2 / 3)
    assert (estimates[2].low, estimates[2].high, estimates[2].problems) == (0, 1, 3)
    assert correctness.count_verdicts({"r": loaded})["r"]["runtime error"] == 3
    assert correctness.fewest_samples({"r": loaded}) == 2


def test_a_run_of_which_nothing_could_be_converted_is_read_and_one_without_step_2_is_not(tmp_path):
    raw = {"prompt": "", "generated_text": "nothing", "metadata": PROBLEM}
    write_json(tmp_path / "question_3_sample_1.json", raw)
    with pytest.raises(UserError, match=r"has no converted files; run format_converter\.py first"):
        answers.load_answers(tmp_path, "r")
    step = {"script": "format_converter.py", "settings": {"input_dir": str(tmp_path)}}
    write_json(tmp_path / "run.json", {"script": None, "steps": {"format_converter.py": step}})
    assert [a.verdict for a in answers.load_answers(tmp_path, "r")] == ["not converted"]


def test_missing_unchecked_and_unembedded_runs_end_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    with pytest.raises(UserError, match="has no run 'base'; .* `make demo`"):
        answers.load_runs()
    write_converted(tmp_path / "base", 1, 0, "print(1)", PROBLEM)
    with pytest.raises(UserError, match=r"analysis/embed\.py"):
        vectors.load_embeddings(tmp_path / "base")
    with pytest.raises(UserError, match="1 answers of base have no verdict"):
        correctness.count_correct(answers.load_runs(("base",))["base"])
    with pytest.raises(UserError, match="make loop"):
        curated_rows.load_curated(tmp_path / "data")
    (tmp_path / "base" / "converted_question_1_sample_1.json").write_text("{")
    with pytest.raises(UserError, match="converted_question_1_sample_1"):
        answers.load_runs(("base",))


def test_runs_of_two_problem_sets_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    for run, question in (("a", "P"), ("b", "P"), ("c", "Q")):
        write_converted(tmp_path / run, 1, 0, "print(1)", {"question": question, "difficulty": "EASY"})
    loaded = answers.load_runs(("a", "b"))
    assert [(run, each[0].question, each[0].difficulty) for run, each in loaded.items()] == [
        ("a", "P", "EASY"), ("b", "P", "EASY")
    ]  # fmt: skip
    with pytest.raises(UserError, match="question 1 is one problem in a and another in c"):
        answers.load_runs(("a", "c"))
    write_converted(tmp_path / "c", 1, 1, "print(1)", {"question": "P"})
    write_converted(tmp_path / "a", 1, 1, "print(1)", None)
    with pytest.raises(UserError, match="question 1 is two problems in c"):
        answers.load_runs(("c",))
    assert len(answers.load_runs(("a", "b"))["a"]) == 2  # the problem of an answer without its text is not known


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("generated_text", None),
        ("question_id", "1"),
        ("converted_text", 5),
        ("metadata", []),
        ("correctness", 1),
        ("correctness_reason", 5),
        ("usage", []),
        ("segments", {}),
    ],
)
def test_a_value_of_another_type_makes_a_file_broken_and_null_is_a_missing_one(tmp_path, key, value):
    empty = {"usage": None, "segments": None, "finish_reason": None, "test_results": None}
    path = tmp_path / "converted_question_1_sample_0.json"
    write_converted(tmp_path, 1, 0, "print(1)", PROBLEM)
    write_json(path, {**json.loads(path.read_text()), key: value})
    with pytest.raises(UserError, match=rf"sample_0\.json: its {key} is of type {type(value).__name__}"):
        answers.load_answers(tmp_path, "r")
    write_converted(tmp_path, 1, 0, "print(1)", PROBLEM, **empty)
    assert answers.load_answers(tmp_path, "r")[0].tokens is None
