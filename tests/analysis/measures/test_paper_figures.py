"""The paper's shares and its checker's rules, on a run whose programs show the checker's faults."""

import pytest
from scripts import write_converted

from analysis.measures import paper_figures, paper_rules
from analysis.reading.answers import load_runs
from hindsight.files.records import write_json

SUM = {"question": "Add.", "input_output": '{"inputs": ["1 2\\n"], "outputs": ["3\\n"]}'}
PROGRAMS = {
    "print(sum(map(int, input().split())))": ("", True),
    "print(4)": ("wrong answer", False),
    "print(3": ("syntax error", True),
    "print(3)\nraise SystemExit(1)": ("runtime error: SystemExit", True),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two problems: four programs for the first, an unconverted answer to the second."""
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    for index, (program, (reason, _)) in enumerate(PROGRAMS.items()):
        more = {"correctness": not reason, "correctness_reason": reason}
        write_converted(tmp_path / "merged", 0, index, program, SUM, **more)
    raw = {"prompt": "", "generated_text": "no program", "metadata": SUM}
    write_json(tmp_path / "merged" / "question_1_sample_0.json", raw)
    return load_runs(("merged",))


def test_the_papers_rules_accept_broken_programs_and_leave_the_runs_files_unchanged(run, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    verdicts = paper_rules.judge_by_the_papers_rules(("merged",))
    assert verdicts["merged"] == {(0, index): theirs for index, (_, theirs) in enumerate(PROGRAMS.values())}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    (row,) = paper_rules.compare_rules(run, verdicts)
    assert row == {
        "run": "merged",
        "answers": 5,
        paper_rules.BY_BOTH: 1,
        paper_rules.ONLY_PAPER: 2,
        "our verdicts on these": "syntax error 1, runtime error 1",
        paper_rules.ONLY_OURS: 0,
    }
    both = paper_rules.pass_at_k_by_both(run, verdicts, 1)["merged"]
    assert both["ours"].mean == pytest.approx((1 / 4 + 0) / 2)
    assert both["the paper's"].mean == pytest.approx((3 / 4 + 0) / 2)


def test_shares_are_means_over_problems(run):
    shares = paper_figures.shares_by_alpha({0.7: run["merged"]})
    assert shares["correct"][0.7].mean == pytest.approx((1 / 4 + 0) / 2)
    assert shares["without code"][0.7].mean == pytest.approx((0 + 1) / 2)
    assert shares.keys() == paper_figures.PUBLISHED.keys()
