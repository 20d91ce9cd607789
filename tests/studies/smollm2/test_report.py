"""The study's tables and figures, from small results."""

import pytest
from study_results import results, run, whole

from hindsight.errors import UserError
from studies.smollm2.choices import Study
from studies.smollm2.figures import draw_claim, draw_measures
from studies.smollm2.report import write_report
from studies.smollm2.results import write_results
from studies.smollm2.summary import pass_at
from studies.smollm2.tables import TABLES, make_tables


def test_tables_say_what_the_results_hold():
    study = Study(whole())
    tables, summary = make_tables(study), study.test
    (row,) = [line for line in tables["test"].splitlines() if "merged at 0.3 (full)" in line]
    # problems 14, 11, 12, 13: correct 1, 2, 2, 4 and 0, 2, 2, 4 of 4; .5 different programs; 12 tokens with 3 nats
    assert row.startswith("| merged at 0.3 (full) | 0 1 | 0.531 [")
    assert row.endswith("| 0.531 | 0.875 | 0.500 | 1.500 | 0.250 | 1.000 |")
    assert "T 0.4" in tables["test"] and "fine-tuned (full), T 1 |" in tables["test"]
    assert "fine-tuned (full), T 1 |" in tables["all"] and " | 60.000 |" in tables["all"]
    assert "| merged at 0.3 (full) | 0 1 | 0.562 0.500 | 1.000 0.750 |" in tables["seeds"]
    difference = summary.difference("full_0.3", "start_shots_T0.5", pass_at(4)).text("+")
    assert f"| pass@4 | merged at 0.3 (full) | {difference} | +0.250 +0.000 |" in tables["differences"]
    assert tables["chosen"].splitlines()[2].startswith("| full | pass@1 | 0.3 | 0.531 [")
    assert "| start model | start model three-shot, T 0.5 | chosen on validation |" in tables["parents"]
    assert "lora" not in tables["validation"] and "merged at 0.6 (full)" in tables["validation"]


def test_settings_with_one_label_are_told_apart_by_their_names():
    runs = [run("full_1e-05_epochs_1", "early", epochs=1), run("full_2e-05_epochs_1", "early", epochs=1)]
    table = make_tables(Study(results(*runs)))["test"]
    assert "| stopped after 1 epoch (full), T 0.4: full_1e-05_epochs_1 | 0 |" in table


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run("start", "start")],
        [run("full_0.4", alpha=0.4)],
        [run("a", "early", epochs=0.5)],
        [run("start", "start", (0, 1), split="validation")],
        [run("a", alpha=0.3), run("a", alpha=0.3, seed=1), run("b", alpha=0.6), run("b", alpha=0.6, seed=2)],
    ],
    ids=["none", "start", "merge", "early", "validation", "seeds"],
)
def test_only_what_exists_is_reported(runs):
    study = Study(results(*runs))
    tables = make_tables(study)
    assert set(tables) == set(TABLES) and "There is no run of the LoRA training." in tables["missing"]
    assert draw_measures(study).axes and draw_claim(study).axes


def test_the_figure_shows_the_estimates_by_alpha():
    study = Study(whole())
    figure = draw_measures(study)
    panel = next(axes for axes in figure.axes if axes.get_title() == "pass@4, base and plus tests")
    lines = {line.get_label(): line for line in panel.get_lines()}
    assert list(lines["merged, full"].get_xdata()) == [0, 0.3, 0.6, 1]
    assert list(lines["merged, full"].get_ydata()) == [0.75, 0.875, 0.75, 0.75]
    assert {"start model, at its best", "fine-tuned, LoRA, at its best"} <= set(lines)
    assert [text.get_text() for text in panel.get_xticklabels()][-2:] == ["1 ep.", "10/10"]


@pytest.mark.slow
def test_a_report_is_written_whole_and_renews_a_page(tmp_path):
    found = results(run("start", "start"), run("full_0.3", alpha=0.3))
    write_results(tmp_path / "results.json", found)
    page = tmp_path / "README.md"
    page.write_text("<!-- table: test -->\n<!-- end -->\n")
    said = write_report(tmp_path / "results.json", tmp_path / "out", ["svg"], str(page))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"by_alpha.svg", "claim.svg", "tables.md"}
    table = make_tables(Study(found))["test"]
    assert table in said and page.read_text() == f"<!-- table: test -->\n{table}\n<!-- end -->\n"
    with pytest.raises(UserError, match=r"nowhere\.md cannot be read"):
        write_report(tmp_path / "results.json", tmp_path / "out", [], str(tmp_path / "nowhere.md"))
    with pytest.raises(UserError, match="FORMATS are"):
        write_report(tmp_path / "results.json", tmp_path / "out", ["gif"])
