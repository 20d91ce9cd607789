"""Step 5 as a user runs it: the numbers of curves and differences, the pictures, and bad input."""

import csv
import gzip
import json
from collections import Counter

import pytest
from scripts import run_in_process, run_script, write_converted

import pass_at_k_plot
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.curves import go_beyond, make_curve
from hindsight.pass_at_k.drawing import line_style, make_figure
from hindsight.pass_at_k.labels import RunLabel
from hindsight.pass_at_k.paper_curves import read_paper_figure
from hindsight.pass_at_k.verdict_counts import ProblemCounts, tabulate

PICTURE = ("--formats", "svg")  # the format that is the quickest to write


def make_run(folder, verdicts, **more):
    """A checked run: `verdicts` holds, for each question, the verdict of each sample."""
    for question, samples in enumerate(verdicts):
        for index, correct in enumerate(samples):
            write_converted(folder, question, index, "print()", {}, correctness=correct, **more)
    return folder


@pytest.fixture
def plot(tmp_path):
    """Runs step 5 in this process and gives its result and the numbers that it wrote; draws on request (PICTURE)."""

    def run(*inputs, ks=(1, 2), flags=()):
        given = ["--output", tmp_path / "out", "--ks", *ks, "--formats", "--input_dirs", *inputs, *flags]
        result = run_in_process(pass_at_k_plot, *given)
        path = tmp_path / "out.json"
        return result, json.loads(path.read_text()) if path.exists() else None

    return run


def test_numbers_are_the_estimators_mean_over_problems(tmp_path, plot):
    one = make_run(tmp_path / "one", [[True, False, False], [True, True, True]])
    two = make_run(tmp_path / "two", [[False, False]])
    result, numbers = plot(one, two, flags=["--labels", "first", "second", *PICTURE])
    assert result.returncode == 0, result.stderr
    first, second = numbers["curves"]
    assert "pass@k" in (tmp_path / "out.svg").read_text()
    assert (first["label"], first["problems"], first["samples"], first["correct"]) == ("first", 2, 6, 4)
    assert first["values"] == {"1": pytest.approx(2 / 3), "2": pytest.approx((2 / 3 + 1) / 2)}
    assert second["values"] == {"1": 0.0, "2": 0.0}
    assert "first          2        6    0.667    0.833" in result.stdout


@pytest.mark.slow
def test_pictures_and_tables_are_written_the_same_each_time(tmp_path, plot):
    """Once as a user starts it, once in this process, which hashes strings with another seed."""
    run = make_run(tmp_path / "one", [[True, False]])
    flags = ["--formats", "pdf", "png", "svg", "--latex", "--title", "A title"]
    given = ["--output", tmp_path / "out", "--ks", 1, 2, "--input_dirs", run, *flags]
    names, written = [f"out.{suffix}" for suffix in ("pdf", "png", "svg", "json", "csv")], []
    for start in (lambda: run_script("pass_at_k_plot.py", *given), lambda: plot(run, flags=flags)[0]):
        result = start()
        assert result.returncode == 0, result.stderr
        written.append([(tmp_path / name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert [content[:4] for content in written[0][:3]] == [b"%PDF", b"\x89PNG", b"<?xm"]
    assert r"one & 0.500 {\scriptsize [0.500, 0.500]} & 1.000 {\scriptsize [1.000, 1.000]} \\" in result.stdout
    rows = list(csv.DictReader(written[0][4].decode().splitlines()))
    assert [(row["label"], row["k"], row["pass_at_k"]) for row in rows] == [("one", "1", "0.5"), ("one", "2", "1.0")]


def test_beyond_the_samples_the_curve_is_estimated_and_says_where_it_cannot(tmp_path, plot):
    """Of 40 problems 20 are never solved in 4 samples, 4 each once, twice and three times, 8 always."""
    times = [0] * 20 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 8
    run = make_run(tmp_path / "one", [[sample < right for sample in range(4)] for right in times])
    plain, before = plot(run, ks=(1, 4))
    result, numbers = plot(run, ks=(1, 4), flags=["--beyond", 40, *PICTURE])
    assert result.returncode == 0, result.stderr
    (curve,) = numbers["curves"]
    beyond = curve.pop("beyond")
    assert numbers == before and "beyond" not in before["curves"][0]
    assert (beyond["ks"][0], beyond["ks"][-1], beyond["answers"]) == (4, 40, 4)
    assert beyond["mean"][0] == pytest.approx(0.5, abs=0.05)
    assert all(
        low <= mean <= high for low, mean, high in zip(*(beyond[x] for x in ("low", "mean", "high")), strict=True)
    )
    assert beyond["low"][-1] < 0.5 < 0.9 < beyond["high"][-1]
    assert f"one: pass@40 {beyond['mean'][-1]:.3f} [" in result.stdout and "pass@40" not in plain.stdout
    assert f"one: these samples leave pass@k open from k = {beyond['open_from']} on" in result.stdout
    for last in (4, 41):
        refused, _ = plot(run, ks=(1, 4), flags=["--beyond", last])
        assert (
            refused.returncode == 2
            and ", 4, to 10 times the number of samples per problem, 40, not to" in refused.stderr
        )


def test_estimates_beyond_the_samples_are_dashed_without_markers():
    outcomes = Counter({Outcome.CORRECT: 1, Outcome.WRONG: 3})
    counts = tabulate({question: ProblemCounts(files=4, outcomes=outcomes) for question in range(20)})
    curve = make_curve(counts, RunLabel("alpha 0.7", "", 0.7), [1, 4], leave_out_few=False, source="")
    (axes,) = make_figure([go_beyond(curve, 40, "")], "", bands=True).axes
    solid, dashed = axes.lines
    assert (solid.get_linestyle(), dashed.get_linestyle(), dashed.get_marker()) == ("-", "--", "None")
    assert (solid.get_color(), axes.get_xscale()) == (dashed.get_color(), "log")
    assert dashed.get_xdata()[[0, -1]].tolist() == [4, 40]


def test_every_panel_shows_its_whole_curves():
    curves = []
    for panel, correct in (("A", 1), ("B", 4)):
        outcomes = Counter({Outcome.CORRECT: correct, Outcome.WRONG: 4 - correct})
        counts = tabulate({question: ProblemCounts(files=4, outcomes=outcomes) for question in (1, 2)})
        labels = [RunLabel(f"alpha 0.{n}", panel, n / 10) for n in range(7)]
        curves += [make_curve(counts, label, [1, 2], leave_out_few=False, source="") for label in labels]
    for shown in (curves, curves[:3] + curves[7:9]):
        figure = make_figure(shown, "", bands=True)
        assert [axes.get_title() for axes in figure.axes] == ["A", "B"]
        assert all(axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 1 for axes in figure.axes)
        assert [len(axes.lines) for axes in figure.axes] in ([7, 7], [3, 2])
        assert len(figure.legends) == (len(shown) == 14)


def test_any_label_and_title_is_drawn_and_fits():
    outcomes = Counter({Outcome.CORRECT: 1, Outcome.WRONG: 3})
    counts = tabulate({question: ProblemCounts(files=4, outcomes=outcomes) for question in (1, 2)})
    labels = ["cost $^$ 5 \udce4", "_hidden", "long " * 20, r"$\alpha$ 0.5", "one $"]
    curves = [make_curve(counts, RunLabel(label), [1, 2], leave_out_few=False, source="") for label in labels]
    figure = make_figure(curves, "word " * 30 + "$x^$", bands=True)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    drawn = [text.get_text() for text in axes.get_legend().get_texts()]
    assert drawn == [
        r"cost \$^\$ 5 ?",
        " _hidden",
        "\n".join([("long " * 8).strip()] * 2 + ["long long long long"]),
        *labels[3:],
    ]
    assert axes.get_window_extent().width > 0.7 * figure.bbox.width
    assert figure._suptitle.get_window_extent().width < figure.bbox.width


def test_two_runs_are_compared_on_the_problems_of_both(tmp_path, plot):
    """One has problems 0 to 3, the other 0 to 2, where it solves 0 only: differences 0, 1 and 0."""
    one = make_run(tmp_path / "one", [[True], [True], [False], [True]])
    other = make_run(tmp_path / "other", [[True], [False], [False]])
    result, numbers = plot(other, one, ks=(1,))
    (difference,) = numbers["differences"]
    assert (difference["one"], difference["other"], difference["problems"]) == ("one", "other", 3)
    assert difference["mean"] == [pytest.approx(1 / 3)]
    assert "one against other: pass@1 +0.333 [+0.000, +1.000] on 3 problems" in result.stdout


def test_problems_of_two_sets_are_not_compared_even_if_they_share_ids(tmp_path, plot):
    runs = []
    for name, problems in (("a", "PQR"), ("b", "PXR"), ("c", "XYZ")):
        runs.append(tmp_path / name)
        for question, text in enumerate(problems):
            write_converted(runs[-1], question, 0, "print()", {"question": text}, correctness=question == 0)
    result, numbers = plot(*runs, ks=(1,))
    pairs = [(each["one"], each["other"], each["problems"], each["unlike"]) for each in numbers["differences"]]
    assert pairs == [("b", "a", 2, 1), ("c", "a", 0, 3), ("c", "b", 0, 3)]
    assert "b against a: 1 problems have the same id but different texts, and are not compared" in result.stdout
    assert "c against a: pass@1" not in result.stdout
    write_converted(runs[0], 1, 1, "print()", {"question": "X"}, correctness=True)
    result, _ = plot(*runs, ks=(1,))
    assert (result.returncode, "answers of several problem sets: question 1" in result.stderr) == (2, True)


def test_a_run_is_named_by_its_alpha_or_its_model(tmp_path, plot):
    runs = [make_run(tmp_path / name, [[True]]) for name in ("w", "x", "y", "z")]
    by_part = ["b", "f", "0.70", "mlp:0.9", "head:1"]
    for folder, content in zip(
        runs,
        (
            {"script": "single_model_inference.py", "settings": {"merged_from": by_part}, "models": ["m"]},
            {"script": "single_model_inference.py", "settings": {"merged_from": ["b", "f", "0.70"]}, "models": ["m"]},
            {"script": "single_model_inference.py", "settings": {}, "models": ["vicuna"]},
            {"script": "switching_inference.py", "settings": {}, "models": ["a", "b"]},
        ),
        strict=True,
    ):
        (folder / "run.json").write_text(json.dumps(content))
    _, numbers = plot(tmp_path / "[wxyz]", ks=(1,))
    assert [(curve["label"], curve["alpha"]) for curve in numbers["curves"]] == [
        ("alpha 0.7 (mlp:0.9, head:1)", None), ("alpha 0.7", 0.7), ("vicuna", None), ("switching", None)
    ]  # fmt: skip
    _, numbers = plot(tmp_path / "[xy]", runs[2], ks=(1,), flags=["--labels", "two", "one", "--panels", "A", "B"])
    assert [curve["label"] for curve in numbers["curves"]] == ["two x", "two y", "one"]
    assert [curve["panel"] for curve in numbers["curves"]] == ["A", "A", "B"]
    assert [(each["one"], each["other"]) for each in numbers["differences"]] == [("two y (A)", "two x (A)")]


@pytest.mark.parametrize(("status", "correct"), [("plus", 1), ("base", 2)])
def test_result_files_of_evalplus_are_plotted_directly(tmp_path, plot, status, correct):
    passed, failed = {"base_status": "pass", "plus_status": "pass"}, {"base_status": "pass", "plus_status": "fail"}
    broken = {"base_status": "fail", "plus_status": "fail"}
    path = tmp_path / "vicuna_0.7.eval_results.json"
    path.write_text(json.dumps({"date": "x", "eval": {"Mbpp/2": [passed, failed, broken], "Mbpp/3": [broken] * 3}}))
    _, numbers = plot(path, ks=(1, 3), flags=["--status", status])
    (curve,) = numbers["curves"]
    assert (curve["label"], curve["alpha"], curve["correct"], curve["samples"]) == ("vicuna_0.7", None, correct, 6)
    assert curve["values"] == {"1": pytest.approx(correct / 6), "3": 0.5}
    _, numbers = plot(path, ks=(1,), flags=["--labels", "Vicuna alpha 0.7"])
    assert numbers["curves"][0]["alpha"] == 0.7


def test_evalplus_s_plus_asks_for_base_too_unless_the_plus_tests_alone_are_wanted(tmp_path, plot):
    statuses = [("pass", "pass"), ("fail", "pass"), ("timeout", "pass"), ("pass", "fail")]
    samples = [{"base_status": base, "plus_status": plus} for base, plus in statuses]
    path = tmp_path / "x.eval_results.json"
    path.write_text(json.dumps({"eval": {"Mbpp/2": samples}}))
    for flags, value in (((), 0.25), (("--evalplus_status", "plus"), 0.75), (("--status", "base"), 0.5)):
        assert plot(path, ks=(1,), flags=flags)[1]["curves"][0]["values"] == {"1": value}
    path.write_text(json.dumps({"eval": {"Mbpp/2": [{"base_status": "pass", "plus_status": None}]}}))
    (tmp_path / "out.json").unlink()
    result, numbers = plot(path, ks=(1,))
    assert (result.returncode, numbers) == (2, None) and "made with the base tests only" in result.stderr


def test_two_result_files_of_one_name_are_told_apart_by_their_folders(tmp_path, plot):
    """And a folder or a pattern gives the files in it, gzipped or not."""
    for name, status in (("one", "pass"), ("two", "fail")):
        (tmp_path / name / "mbpp").mkdir(parents=True)
        content = json.dumps({"eval": {"Mbpp/2": [{"base_status": status, "plus_status": status}]}}).encode()
        (tmp_path / name / "mbpp" / "x.eval_results.json").write_bytes(content)
        (tmp_path / name / "y_eval_results.json.gz").write_bytes(gzip.compress(content))
    for inputs in ([tmp_path / name / "mbpp" for name in ("one", "two")], [tmp_path / "*" / "mbpp" / "*.json"]):
        result, numbers = plot(*inputs, ks=(1,))
        assert result.returncode == 0, result.stderr
        assert [(each["label"], each["values"]["1"]) for each in numbers["curves"]] == [("x, one", 1), ("x, two", 0)]
    _, numbers = plot(tmp_path / "one" / "**", ks=(1,), flags=["--labels", "vicuna"])
    assert [each["label"] for each in numbers["curves"]] == ["vicuna y", "vicuna x"]
    _, numbers = plot(tmp_path / "one", tmp_path / "*" / "*.gz", ks=(1,))
    assert [each["label"] for each in numbers["curves"]] == ["y, one", "y, one (2)", "y, two"]


def test_two_temperatures_of_one_model_are_two_curves(tmp_path, plot):
    """Merged at one alpha, too: they share a colour and a marker, but not a line."""
    runs = []
    for temperature in (0.7, 1.0):
        runs.append(make_run(tmp_path / f"t{temperature}", [[True, temperature == 1]]))
        settings = {"model": "instruct", "instruct_temperature": temperature, "merged_from": ["b", "f", "0.7"]}
        content = {"script": "single_model_inference.py", "settings": settings, "models": ["m"]}
        (runs[-1] / "run.json").write_text(json.dumps(content))
    result, numbers = plot(*runs, ks=(1,), flags=PICTURE)
    assert result.returncode == 0, result.stderr
    names = ["alpha 0.7, temperature 0.7", "alpha 0.7, temperature 1"]
    assert [(each["label"], each["alpha"]) for each in numbers["curves"]] == [(name, 0.7) for name in names]
    (difference,) = numbers["differences"]
    assert (difference["one"], difference["other"], difference["mean"]) == (names[1], names[0], [0.5])
    styles = [line_style(0.7, number) for number in range(4)]
    assert len({style["color"] for style in styles}) == 1 and len({style["linestyle"] for style in styles}) == 4
    for alpha in (None, 0.7):
        assert len({tuple(line_style(alpha, number).items()) for number in range(40)}) == 40


def test_no_answer_counts_as_wrong_and_is_named_beside_the_table(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True]])
    for name in ("question_0_sample_1", "question_0_sample_2"):
        (run / f"{name}.json").write_text("{}")
    (run / "no_answers.json").write_text('{"question_0_sample_2.json": "it holds no program"}')
    result, numbers = plot(run, ks=(1,))
    assert numbers["curves"][0]["values"]["1"] == pytest.approx(1 / 3)
    assert (numbers["curves"][0]["unconverted"], numbers["curves"][0]["no_answer"]) == (2, 1)
    assert "1 of 3 answers hold no answer" in result.stdout


def test_answers_that_could_not_be_converted_count_as_wrong_and_are_reported(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True, True]])
    write_converted(run, 2, 0, "", {}, correctness=False, correctness_reason="no code")
    for name in ("question_0_sample_2", "question_1_sample_0", "question_1_sample_1"):
        (run / f"{name}.json").write_text("{}")
    (run / "question_0_sample_0.json").write_text("{}")
    (run / "question_1_sample_1.json").write_text('{"finish_reason": "length"}')
    result, numbers = plot(run, ks=(1,))
    assert numbers["curves"][0]["values"]["1"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert "3 of 6 answers could not be converted and count as wrong" in result.stdout
    assert "1 of 6 answers hold no code and count as wrong" in result.stdout
    assert "1 of 6 answers were cut off by length" in result.stdout


def test_answers_that_could_not_be_judged_are_left_out_and_reported(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True, None, False, None]])
    result, numbers = plot(run, ks=(1, 2))
    assert numbers["curves"][0]["values"] == {"1": 0.5, "2": 1.0}
    assert "2 of 4 answers could not be judged and are left out" in result.stdout
    refused, _ = plot(run, ks=(3,))
    assert (
        refused.returncode,
        "(the least 2; the first: 0); 2 answers could not be judged; give" in refused.stderr,
    ) == (
        2,
        True,
    )


def test_a_k_above_a_problems_samples_is_refused_or_leaves_the_problem_out(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True, False], [True]])
    result, numbers = plot(run)
    assert (result.returncode, numbers) == (2, None)
    assert "pass@2 needs 2 samples per problem, 1 of 2 have fewer (the least 1; the first: 1)" in result.stderr
    result, numbers = plot(run, flags=["--leave_out_few"])
    assert (result.returncode, numbers["curves"][0]["values"]) == (0, {"1": 0.5, "2": 1.0})
    assert "1 problems have too few samples and are left out" in result.stdout
    assert numbers["curves"][0]["too_few_samples"] == ["1"]
    assert (numbers["curves"][0]["samples"], numbers["curves"][0]["correct"]) == (2, 1)
    assert " 1        2    0.500" in result.stdout


def test_answers_without_a_verdict_are_refused_not_counted_as_wrong(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True]])
    write_converted(run, 0, 1, "print()", {})
    result, _ = plot(run, ks=(1,))
    assert (result.returncode, "1 of 2 answers" in result.stderr) == (2, True)


def test_a_broken_file_is_named_and_the_others_are_plotted(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True, False], [True, True]])
    (run / "converted_question_1_sample_1.json").write_text("{")
    for _ in range(2):
        result, numbers = plot(run, ks=(1,))
        assert (result.returncode, numbers["curves"][0]["samples"]) == (1, 3)
        assert "converted_question_1_sample_1.json is not valid JSON" in result.stdout
    (run / "converted_question_1_sample_1.json").unlink()
    (run / "converted_question_1_sample_1.json").symlink_to(tmp_path / "gone")
    result, numbers = plot(run, ks=(1,))
    assert (result.returncode, numbers["curves"][0]["samples"]) == (1, 3)
    assert "converted_question_1_sample_1.json cannot be read (No such file or directory)" in result.stdout
    (run / "converted_question_1_sample_1.json").unlink()
    (run / "converted_question_1_sample_1.json").write_text('{"correctness": "yes"}')
    result, _ = plot(run, ks=(1,))
    assert (result.returncode, "is not an answer of a run (Expected `bool | null`" in result.stdout) == (1, True)
    path = run / "converted_question_1_sample_0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metadata": {"question": "half a pair: \ud800"}}))
    _, numbers = plot(run, ks=(1,))
    assert numbers["curves"][0]["correct"] == 2


def test_a_run_whose_counts_cannot_be_kept_is_plotted(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True, False]])
    (run / "verdicts.json").mkdir()  # root may write anywhere else, except on a read-only disk
    result, numbers = plot(run, ks=(1,))
    assert (result.returncode, numbers["curves"][0]["samples"]) == (0, 2), result.stderr


def test_a_run_is_read_once_until_an_answer_changes(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True, False], [True, True]])
    first = plot(run, ks=(1,))[1]
    kept = json.loads((run / "verdicts.json").read_text())
    kept["problems"]["0"]["outcomes"] = {"correct": 2}  # by hand, to show that the cache is read
    (run / "verdicts.json").write_text(json.dumps(kept))
    assert plot(run, ks=(1,))[1]["curves"][0]["values"] == {"1": 1.0}
    write_converted(run, 0, 1, "print(1)", {}, correctness=False)
    assert plot(run, ks=(1,))[1] == first
    for content in ("{", '{"digest": ""}', json.dumps({**kept, "problems": {"0": {"samples": 2, "correct": 2}}})):
        (run / "verdicts.json").write_text(content)
        assert plot(run, ks=(1,))[1] == first
    write_converted(run, 2, 0, "print(1)", {}, correctness=False)
    assert plot(run, ks=(1,))[1]["curves"][0]["problems"] == 3


def test_the_papers_curves_are_drawn_without_a_run(plot):
    result, numbers = plot(ks=range(1, 11), flags=["--paper", "mbppplus", *PICTURE])
    assert result.returncode == 0, result.stderr
    curves = {(each["panel"], each["label"]): each["values"]["10"] for each in numbers["paper"]["curves"]}
    assert len(curves) == 16 and numbers["curves"] == []
    assert (curves["Vicuna-7B v1.5", "instruct"], curves["Vicuna-7B v1.5", "alpha 0.7"]) == (0.3096, 0.5023)
    assert (curves["Llama-3.1-8B", "alpha 0.7"], curves["Llama-3.1-8B", "alpha 0.9"]) == (0.7412, 0.7748)
    assert "vector graphics" in numbers["paper"]["source"]
    assert "paper: instruct (Llama-3.1-70B)          378     4158    0.650" in result.stdout


def test_a_run_is_drawn_over_the_papers_curve_of_its_name_in_its_colour(tmp_path):
    paper = read_paper_figure("mbppplus", (1, 2))
    counts = tabulate({1: ProblemCounts(2, 0, Counter({Outcome.CORRECT: 1, Outcome.WRONG: 1}))})
    run = make_curve(counts, RunLabel("instruct", "Llama-3.1-8B"), (1, 2), False, "")
    figure = make_figure([run], "", True, paper.curves)
    assert [axes.get_title() for axes in figure.axes] == paper.panels
    assert [len(axes.lines) for axes in figure.axes] == [4, 4, 5, 4]
    theirs, ours = figure.axes[2].lines[3:]
    assert (theirs.get_label(), ours.get_label()) == ("paper: instruct", "instruct")
    assert theirs.get_color() == ours.get_color() and list(theirs.get_ydata()) == [0.5714, 0.6559]


def test_answers_to_tasks_of_evalplus_are_counted_by_the_tests_that_are_asked_for(tmp_path, plot):
    folder = tmp_path / "one"
    for index, (base, plus) in enumerate((("pass", "pass"), ("pass", "fail"), ("fail", "pass"), ("pass", "fail"))):
        statuses = {"base_status": base, "plus_status": plus, "correctness": base == plus == "pass"}
        write_converted(folder, 1, index, "print()", {}, **statuses)
    for flags, correct in (((), 1), (("--status", "base"), 3), (("--evalplus_status", "plus"), 2), ((), 1)):
        assert plot(folder, ks=(1,), flags=flags)[1]["curves"][0]["correct"] == correct


def test_a_folder_whose_name_looks_like_a_pattern_is_plotted(tmp_path, plot):
    result, numbers = plot(make_run(tmp_path / "a [1]*", [[True]]), ks=(1,), flags=PICTURE)
    assert (tmp_path / "out.svg").exists()
    assert (result.returncode, numbers["curves"][0]["label"]) == (0, "a [1]*"), result.stderr


def test_bad_input_is_one_sentence(tmp_path, plot):
    run = make_run(tmp_path / "one", [[True]])
    for ks, flags, sentence in (
        ((0,), (), "whole numbers of at least 1"),
        ((1,), ("--labels", "a", "b"), "2 labels for 1 of INPUT_DIRS"),
        ((1,), ("--panels", "a", "b"), "2 panels for 1 of INPUT_DIRS"),
        ((1,), ("--paper", "taco"), "PAPER is mbppplus, not 'taco'"),
        ((1,), ("--paper", "mbppplus"), "Llama-3.1-70B: one for each run"),
        ((1,), ("--paper", "mbppplus", "--panels", "Llama"), "Llama-3.1-70B: not 'Llama'"),
        ((11,), ("--paper", "mbppplus"), "the paper's curves have k from 1 to 10"),
        ((1,), ("--formats", "gif"), "FORMATS are pdf, png and svg, not gif"),
        ((1,), ("--status", "both"), "STATUS is plus or base, not 'both'"),
        ((1,), ("--evalplus_status", "base"), "EVALPLUS_STATUS is plus or empty, not 'base'"),
        ((1,), ("--evalplus_status", "plus", "--status", "base"), "contradict each other"),
        ((1,), ("--output", ""), "OUTPUT is a path for files, not ''"),
    ):
        result, _ = plot(run, ks=ks, flags=flags)
        assert (result.returncode, sentence in result.stderr) == (2, True)
    (tmp_path / "taken.png").mkdir()
    result, _ = plot(run, ks=(1,), flags=("--output", tmp_path / "taken", "--formats", "png"))
    assert (result.returncode, f"Is a directory ({tmp_path}/taken.png)" in result.stderr) == (2, True)
    for missing, sentence in (("none", "there is no folder"), ("n*ne", "nothing matches the pattern")):
        result, _ = plot(tmp_path / missing)
        assert (result.returncode, sentence in result.stderr) == (2, True)
