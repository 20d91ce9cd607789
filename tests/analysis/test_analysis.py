"""The modules behind the notebooks: values worked out by hand."""

import numpy as np
import pytest
from scripts import run_script, write_converted

from analysis.display import tables
from analysis.display.figures import peaks
from analysis.measures import correctness
from analysis.reading import answers, curated_rows
from analysis.reading.answers import Answer
from hindsight.errors import UserError
from hindsight.files.masks import read_mask
from hindsight.files.records import write_json
from hindsight.pass_at_k.estimators import Estimate, pass_at_ks
from hindsight.pass_at_k.run_counts import count_folder

PROBLEM = {"question": "?", "input_output": "{}", "starter_code": "", "fn_name": None}


def answer(question_id, sample_index, verdict="correct", run="r", code=None, text="", **more):
    values = {"question": "", "difficulty": "", "prompt": "", "tokens": None, "segments": [], **more}
    return Answer(run, question_id, sample_index, text=text, code=code, verdict=verdict, **values)


def many(*correct_of_each, of=10):
    """Answers to problems 0, 1, ...: so many correct ones of `of` for each."""
    return [
        answer(question, index, "correct" if index < correct else "wrong answer")
        for question, correct in enumerate(correct_of_each)
        for index in range(of)
    ]


# Answers and verdicts


def test_pass_at_k_is_that_of_the_plotting_script_and_unconverted_answers_count_as_wrong(tmp_path):
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


def test_runs_that_are_missing_or_unjudged_or_not_embedded_end_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    with pytest.raises(UserError, match="there is no run 'base' .* `make demo`"):
        answers.load_runs()
    write_converted(tmp_path / "base", 1, 0, "print(1)", PROBLEM)
    with pytest.raises(UserError, match=r"analysis/embed\.py"):
        answers.load_embeddings(tmp_path / "base")
    with pytest.raises(UserError, match="1 answers of base have no verdict"):
        correctness.count_correct(answers.load_runs(("base",))["base"])
    with pytest.raises(UserError, match="make demo"):
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
    with pytest.raises(UserError, match="question 1 of c is another problem than in a"):
        answers.load_runs(("a", "c"))


def test_embeddings_keep_their_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    for question, index, value in ((1, 0, 5.0), (1, 2, 6.0), (2, 0, 7.0)):
        path = tmp_path / "r" / f"converted_question_{question}_sample_{index}_with_embeddings.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"converted_embedding": [value, 1.0]})
    vectors = answers.load_embeddings(tmp_path / "r")
    assert answers.stack_by_problem(vectors)[1].tolist() == [[5, 1], [6, 1]]
    chosen, rows = answers.embedded_answers([answer(1, index) for index in range(3)], vectors, 1)
    assert ([a.sample_index for a in chosen], rows.tolist()) == ([0, 2], [[5, 1], [6, 1]])


def test_differences_are_paired_and_their_interval_holds_them():
    one, other = many(10, 0, 5, 8), many(0, 0, 5, 6)
    found = correctness.pass_at_k_difference(one, other, 1)
    assert found.mean == pytest.approx((1.0 + 0 + 0 + 0.2) / 4)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert correctness.pass_at_k_difference(one, one, 5) == Estimate(0, 0, 0, 4)
    assert correctness.pass_at_k_difference(one, many(0), 1).problems == 1
    runs = {"a": one, "b": other}
    assert correctness.differences(runs, [("a", "b")], [1]) == {"a - b": found}
    assert list(correctness.differences(runs, [("a", "b")], (1, 5))) == ["a - b, pass@1", "a - b, pass@5"]


def test_the_merged_model_stands_above_or_below_both_parents_or_neither():
    rows = correctness.against_both(many(5, 1, 3, 2), many(2, 3, 3, 4), many(1, 2, 5, 2))
    assert [(row["question_id"], row["stands"]) for row in rows] == [(0, 1), (2, 0), (3, 0), (1, -1)]
    assert rows[0]["margin"] == pytest.approx(0.3)
    assert rows[-1]["margin"] == pytest.approx(-0.1)
    assert correctness.standing(rows, ("alpha", "base", "instruct"))[1] == {
        "question": 1,
        "difficulty": "",
        "alpha": 0.1,
        "base": 0.3,
        "instruct": 0.2,
    }
    rows[0]["difficulty"], rows[1]["difficulty"] = "HARD", "EASY"
    assert [tuple(row.values()) for row in correctness.standing_by_difficulty(rows)] == [
        ("EASY", 1, 0, 0), ("HARD", 1, 1, 0), ("not known", 2, 0, 1)
    ]  # fmt: skip


def test_the_most_mixed_problem_is_mixed_within_its_runs():
    runs = {"a": many(0, 10, 4, 5), "b": many(10, 0, 5, 5)}  # half of the answers to 0, 1 and 3 are correct
    assert correctness.most_mixed_problem(runs) == 3


def test_a_curated_row_knows_its_run_and_problem(tmp_path):
    for index in range(2):
        write_converted(tmp_path / "merged", 4, index, f"x{index} = 1", PROBLEM, correctness=True)
    write_converted(tmp_path / "merged", 9, 0, "print(2)", {**PROBLEM, "question": "Another."}, correctness=True)
    flags = ("--input_dirs", tmp_path / "merged", "--output_dir", tmp_path / "data", "--cutoff_len", 0)
    assert run_script("convert_to_data.py", *flags).returncode == 0
    rows = curated_rows.load_curated(tmp_path / "data")
    assert curated_rows.rows_by_problem(rows) == {4: 2, 9: 1}
    assert curated_rows.summary(rows) == [{"run": "merged", "rows": 3, "problems": 2, "distinct programs": 2}]
    assert curated_rows.answer_lengths(rows)["merged"] == [len(row.answer) for row in rows]
    (tmp_path / "data" / "hindsight.sources.jsonl").write_text("")
    with pytest.raises(UserError, match="no dataset of"):
        curated_rows.load_curated(tmp_path / "data")


# What is shown


def test_the_base_models_turns_are_marked_and_the_text_is_escaped():
    turns = [{"model": "instruct", "start": 4, "end": 6}, {"model": "base", "start": 6, "end": 9}]
    shown = tables.by_writer(answer(1, 0, text="TAG ab<c> d", segments=turns))
    inside = shown.split(">", 1)[1].removesuffix("</pre>")
    assert inside == f"TAG ab<b style='{tables.BASE_STYLE}'>&lt;c&gt;</b> d"


def test_tables_have_a_head_and_three_places():
    assert tables.markdown_table([{"run": "a|b", "x": 0.12345, "n": 3}]).splitlines() == [
        "| run | x | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.123 | 3 |",
    ]


def test_peaks_are_the_highest_and_apart():
    assert peaks(np.array([1.0, 9.0, 8.0, 0.0, 7.0]), most=2, apart=2) == [1, 4]
