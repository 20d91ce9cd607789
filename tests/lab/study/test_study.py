"""The study of the lab's claim: its counts, its statistics, its report, and a small run of it with a real server."""

import json

import numpy as np
import pytest
from scripts import ROOT, run_in_process

from hindsight.errors import UserError
from hindsight.pass_at_k.estimators import pass_at_k
from hindsight.text.uniform_format import render
from lab.study import report, reproduce
from lab.study.figures import FIGURES
from lab.study.measure import MEASURED, measure_problem
from lab.study.plan import StudyOptions, plan_runs
from lab.study.results import RESULTS, collect, read_results, setting_of
from lab.study.settings_grid import list_settings
from lab.study.summary import Summary
from lab.study.tables import TABLES, summary_table

COMMITTED = ROOT / "lab" / "results.json"
GOOD = render("Think.", "```python\nprint(1)\n```")
SAME = render("Think again.", "```python\nprint( 1 )  # the same\n```")


def answer(text, correct=None, finish="stop", **more):
    converted = {} if correct is None else {"converted_text": text, "correctness": correct}
    problem = {"group": "unseen", "difficulty": "EASY", "name": "list|sum|[None, 3]"}
    return {
        "question_id": 3,
        "sample_index": 0,
        "generated_text": text,
        "finish_reason": finish,
        "metadata": problem,
        **converted,
        **more,
    }


def test_a_problems_row_counts_its_answers():
    no_program = render("Think.", "I will post the code later.")
    answers = [
        answer(GOOD, True),
        answer(SAME, True),
        answer(GOOD + "\nUser: more", False),
        answer(no_program, False),
        answer("nothing"),
    ]
    assert measure_problem(3, answers) == {
        "question_id": 3,
        "group": "unseen",
        "difficulty": "EASY",
        "family": "list|sum",
        "samples": 5,
        "correct": 2,
        "programs": 3,
        "in_format": 2,
        "distinct": 1,
    }
    assert measure_problem(3, [answer(GOOD, True, finish="length")])["in_format"] == 0


def test_a_converted_answer_without_a_verdict_is_refused():
    with pytest.raises(UserError, match="question 3 sample 0 has no verdict"):
        measure_problem(3, [answer(GOOD, None, converted_text=GOOD)])


@pytest.fixture
def output(tmp_path):
    """Measured runs of all settings for two seeds: 40 problems, two per family, and a pass rate by setting."""
    chance = np.random.default_rng(0)
    for seed in (0, 1):
        for setting in list_settings(everything=True):
            rate = 0.2 + 0.3 * (setting.alpha or 0.5)
            folder = tmp_path / f"seed_{seed}" / setting.name
            folder.mkdir(parents=True)
            rows = []
            for number in range(40):
                programs = int(chance.binomial(20, 0.9))
                row = {"question_id": number, "group": ("finetuned", "base_only", "unseen")[number // 2 % 3]}
                row |= {"difficulty": "EASY", "family": f"family {number // 2}", "samples": 20, "programs": programs}
                row |= {"correct": int(chance.binomial(programs, rate)), "in_format": programs, "distinct": 3}
                two = setting.kind == "switching"
                rows.append(row if two else {**row, "nats": 12.345, "tokens": 50})
            (folder / MEASURED).write_text(json.dumps({"problems": rows}))
    return tmp_path


def test_results_are_the_means_over_seeds_and_problems(output):
    results = read_results(collect(output, [0, 1]))
    values = [
        pass_at_k(20, row["correct"], 10)
        for seed in (0, 1)
        for row in json.loads((output / f"seed_{seed}" / "lerp_0.4" / MEASURED).read_text())["problems"]
    ]
    summary = Summary(results)
    assert summary.pass_at("lerp_0.4", 10).mean == pytest.approx(np.mean(values))
    assert results.share("lerp_0.4", "entropy").mean == pytest.approx(12.35 / 50, abs=1e-9)
    assert summary.by_seed("lerp_0.4", "lerp_0.2", 1)[1] == pytest.approx(
        np.mean(results.values["lerp_0.4", 1, "correct"] - results.values["lerp_0.2", 1, "correct"]) / 20
    )
    groups = [summary.pass_at("lerp_0.4", 1, group) for group in ("finetuned", "base_only", "unseen")]
    assert sum(each.problems for each in groups) == 40
    assert sum(each.mean * each.problems for each in groups) / 40 == pytest.approx(summary.pass_at("lerp_0.4", 1).mean)


def test_asking_again_counts_only_answers_with_a_program(output):
    results = read_results(collect(output, [0]))
    programs, correct = (results.values["base_T0.5", 0, what] for what in ("programs", "correct"))
    expected = [pass_at_k(int(n), int(c), 10) for n, c in zip(programs, correct, strict=True)]
    assert Summary(results).asked_again("base_T0.5", 10).mean == pytest.approx(np.mean(expected))
    results.values["base_T0.5", 0, "programs"][0] = 9
    assert Summary(results).asked_again("base_T0.5", 10).problems == 39


def test_problems_of_one_family_are_resampled_together(output):
    """If each problem comes twice, as a family, the interval is that of the single problems."""
    results = read_results(collect(output, [0]))
    single = np.random.default_rng(1).random((1, 20))
    twice = results.mean(np.repeat(single, 2, axis=1))
    spread = single.std() / 20**0.5
    assert twice.high - twice.low == pytest.approx(2 * 2.09 * spread, rel=0.15)  # 2.09: Student's t of 20 problems


def test_the_best_alpha_has_the_highest_mean_and_a_wide_range_if_alphas_are_equal(output):
    results = read_results(collect(output, [0]))
    chance = np.random.default_rng(2)
    apart = {alpha: chance.random(40) * 0.1 + alpha for alpha in (0.0, 0.5, 1.0)}
    assert results.best_alpha(apart) == (1.0, 1.0, 1.0)
    best, low, high = results.best_alpha({alpha: chance.random(40) for alpha in (0.0, 0.5, 1.0)})
    assert low < high and low <= best <= high


def test_each_parent_is_compared_at_its_best_prompt_and_temperature(output):
    summary = Summary(read_results(collect(output, [0, 1])))
    for k in (1, 10):
        best = max(summary.pass_at(name, k).mean for name in summary.base + summary.base_chat)
        assert summary.pass_at(summary.best_base(k), k).mean == best
    assert (
        set(summary.by_alpha) == {"lerp", "slerp"}
        and len(summary.by_alpha["lerp"]) == len(summary.by_alpha["slerp"]) == 11
    )
    assert summary.by_alpha["lerp"][0] == "base_chat_T0.7" and summary.by_alpha["slerp"][1] == "instruct_T0.7"


@pytest.mark.slow
def test_the_report_has_all_settings_and_repeats_to_the_byte(output, monkeypatch):
    """The second report has one figure; all are drawn and written by the same code."""
    results = collect(output, [0, 1])
    report.write_report(results, output / "one", ["svg"])
    tables = (output / "one" / "tables.md").read_text()
    assert all(f"| {setting.name} |" in tables for setting in list_settings(everything=True))
    summary = Summary(read_results(results))
    for one, other, start in (("slerp_0.3", "lerp_0.3", "0.3"), ("lerp_0.7", "instruct_T1", "lerp_0.7 | instruct_T1")):
        differences = [summary.difference(one, other, k).text("+") for k in (1, 10)]
        assert f"| {' | '.join([start, *differences])} |" in tables
    assert str(summary.results.share("lerp_0.3", "entropy")) in tables
    monkeypatch.setattr(report, "FIGURES", {"claim": FIGURES["claim"]})
    report.write_report(results, output / "two", ["svg", "png"])
    assert (output / "two" / "claim.png").stat().st_size > 1000
    for name in ("claim.svg", "tables.md"):
        assert (output / "one" / name).read_bytes() == (output / "two" / name).read_bytes()
    assert {path.name for path in (output / "one").iterdir()} == {
        "claim.svg",
        "groups.svg",
        "measures.svg",
        "controls.svg",
        "tables.md",
    }


def test_the_main_settings_alone_have_all_tables_and_figures(output):
    everything, main = ({each.name for each in list_settings(flag)} for flag in (True, False))
    assert main < everything and len(everything) == len(list_settings(everything=True))
    for name in everything - main:
        for seed in (0, 1):
            (output / f"seed_{seed}" / name / MEASURED).unlink()
    summary = Summary(read_results(collect(output, [0])))
    assert all(make(summary) for make in (*TABLES, *FIGURES.values()))
    assert setting_of("slerp_0.3").served == setting_of("slerp_0.9").served == ("merge", "slerp")


def test_a_setting_of_one_seed_is_compared_on_that_seed_and_left_out_elsewhere(output):
    for name in ("lerp_0.3", "switching_K5_P10", *(f"slerp_0.{tenth}" for tenth in range(1, 10))):
        (output / "seed_1" / name / MEASURED).unlink()
    summary = Summary(read_results(collect(output, [0, 1])))
    assert "slerp" not in summary.by_alpha and "slerp_0.5" in summary.results.names
    assert 0.3 not in summary.by_alpha["lerp"] and 0.3 in summary.alphas_of("lerp", 0)
    assert "switching_K5_P10" not in summary.switching and len(summary.switching) == 2
    values = summary.results.values
    expected = (values["lerp_0.3", 0, "correct"] - values["lerp_0.4", 0, "correct"]).mean() / 20
    assert summary.difference("lerp_0.3", "lerp_0.4", 1).mean == pytest.approx(expected)
    assert all(make(summary) for make in (*TABLES, *FIGURES.values()))


def test_runs_of_other_problems_are_refused(output):
    path = output / "seed_1" / "lerp_0.4" / MEASURED
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"problems": content["problems"][1:]}))
    with pytest.raises(UserError, match=r"lerp_0\.4 is of other problems"):
        collect(output, [0, 1])
    with pytest.raises(UserError, match="has no setting of seeds"):
        collect(output / "nowhere", [0])
    with pytest.raises(UserError, match="holds no results"):
        read_results(output / "nowhere" / RESULTS)
    for runs, sentence in (({}, "no merge by LERP"), ({"lerp_45": {}}, "'lerp_45' is not a setting of the study")):
        (output / RESULTS).write_text(json.dumps({"problems": [], "seeds": [], "runs": runs}))
        with pytest.raises(UserError, match=sentence):
            Summary(read_results(output / RESULTS))


def run_study(folder, *flags):
    common = ["--end_idx", "3", "--num_samples", "2", "--output_dir", folder]
    return run_in_process(reproduce, *common, *flags)


def test_an_unknown_setting_is_reported(tmp_path):
    result = run_study(tmp_path, "--only", "lerp_0.45")
    assert result.returncode == 2 and "there is no setting lerp_0.45 among base_T0.5" in result.stderr


@pytest.mark.server
@pytest.mark.slow
def test_a_merge_is_served_sampled_judged_and_measured_once(tmp_path, forked_steps):
    result = run_study(tmp_path, "--only", "lerp_0.4")
    assert result.returncode == 0, result.stderr
    assert "1 of 1 settings done" in result.stdout
    folder = tmp_path / "seed_0" / "lerp_0.4"
    rows = json.loads((folder / MEASURED).read_text())["problems"]
    assert [row["group"] for row in rows] == ["finetuned", "base_only", "unseen"]
    assert all(row["samples"] == 2 and row["tokens"] > 10 and 0 < row["nats"] < row["tokens"] for row in rows)
    record = json.loads((folder / "question_0_sample_0.json").read_text())
    assert record["merged_from"] == {"base": "lab/models/base", "finetuned": "lab/models/instruct", "alpha": 0.4}
    assert not list(tmp_path.rglob("*.safetensors"))
    options = StudyOptions(tmp_path, ROOT / "lab" / "models", "lab", "test", 3, 20, 160, 512, 2, 3)
    (run,) = plan_runs(options, False, [0], ["lerp_0.4"])
    assert not run.is_measured(), "the folder has 2 answers per problem, not 20"
    (folder / MEASURED).unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*question*")}
    assert run_study(tmp_path, "--only", "lerp_0.4").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((folder / MEASURED).read_text())["problems"] == rows


def test_the_committed_results_are_complete():
    results = read_results(COMMITTED)
    assert len(results.problems) >= 300 and len(results.seeds) >= 3
    assert {each.name for each in list_settings(everything=False)} <= set(results.names)
    for (name, seed, what), values in results.values.items():
        assert len(values) == len(results.problems), (name, seed, what)
        if what == "samples":
            assert (values == reproduce.NUM_SAMPLES).all()
        if what == "correct":
            assert (values <= results.values[name, seed, "programs"]).all()


@pytest.mark.slow
def test_the_figures_in_the_readmes_are_those_of_the_committed_counts():
    summary, text = Summary(read_results(COMMITTED)), (ROOT / "lab" / "README.md").read_text()
    assert summary_table(summary).partition("\n\n")[2] in text
    merged = summary.best(summary.merged, 10)
    for parent in (summary.best_base(10), summary.best_instruct(10)):
        found = summary.difference(merged, parent, 10)
        assert f"**{found.text('+')}**".replace("0.", ".").replace("[+", "[").replace(", +", ", ") in text
        ends = f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]".replace("0.", ".")
        assert ends in " ".join((ROOT / "README.md").read_text().split())
        seeds = [f"{value:+.3f}".replace("0.", ".") for value in summary.by_seed(merged, parent, 10)]
        assert ", ".join(seeds) in " ".join(text.split())
