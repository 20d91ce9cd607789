"""The choice of alpha as a user runs it: rounds in run folders, budgets, a stop in the middle, and what it reports.

The runs' answers are written by a rule instead of a model: the chance of a right answer is largest at alpha 0.5.
"""

import json
import random
from contextlib import nullcontext

import pytest
from scripts import ROOT, run_in_process, write_converted

from analysis import alpha_choice, alpha_runs, choose_alpha
from hindsight.files.answer_files import list_files
from hindsight.files.records import write_json
from hindsight.pipeline import words_by_flag

PROBLEMS = 20
SIZE = ("--end_idx", PROBLEMS, "--alphas", 0, 0.5, 1, "--k", 2, "--first_samples", 2, "--most_samples", 8)
EASE = {0: 0.1, 0.5: 0.9, 1: 0.7}  # the chance of a right answer to the easiest problem


class Sampler:
    """Stands in for the steps: writes checked answers of 10 tokens; notes the runs; can stop in the middle of one."""

    def __init__(self):
        self.runs, self.stop_after = [], None

    def __call__(self, options, runs):
        for run in runs:
            self.runs.append((run.alpha, run.samples, options.base_url))
            for question in range(PROBLEMS):
                for sample in range(run.samples):
                    self.write(run, question, sample)
            made = {"script": run.script, "settings": words_by_flag(run.flags)}
            write_json(ROOT / run.folder / "run.json", {**made, "problems": {"question_ids": list(range(PROBLEMS))}})
        return 0

    def write(self, run, question, sample):
        folder = ROOT / run.folder
        if (folder / f"question_{question}_sample_{sample}.json").exists():
            return
        if self.stop_after is not None:
            self.stop_after -= 1
            if self.stop_after < 0:
                raise KeyboardInterrupt
        right = random.Random(f"{run.alpha} {question} {sample} c").random() < EASE[run.alpha] * question / PROBLEMS
        program, more = f"print({question + sample % 3})", {"usage": {"completion_tokens": 10}}
        write_converted(folder, question, sample, program, {"question": str(question)}, correctness=right, **more)
        converted = folder / f"converted_question_{question}_sample_{sample}.json"
        (folder / f"question_{question}_sample_{sample}.json").write_bytes(converted.read_bytes())


@pytest.fixture
def sampler(monkeypatch):
    """No server is started, and no merge is checked for it: there is one address."""
    found = Sampler()
    monkeypatch.setattr(alpha_runs, "check_merge", lambda *_: {})
    monkeypatch.setattr(alpha_choice, "make_runs", found)
    monkeypatch.setattr(alpha_choice, "serve_models", lambda *_: nullcontext({"choice": "http://started"}))
    return found


def choose(folder, *flags):
    return run_in_process(choose_alpha, "--output_dir", folder, *SIZE, *flags)


def test_it_spends_where_it_is_undecided_and_finds_the_best(sampler, tmp_path):
    result = choose(tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "choice.json").read_text())
    assert found["alpha"] == 0.5
    zero, half, one = found["alphas"]
    assert zero["answers_per_problem"] == 2 and zero["worse"] and not zero["may_be_best"]
    assert half["answers_per_problem"] > 2 and one["answers_per_problem"] > 2
    assert half["best_minus_it"]["mean"] == 0 and zero["best_minus_it"]["mean"] > 0.3
    answers = {alpha: len(list_files(tmp_path / f"alpha_{alpha}", "sample")) for alpha in ("0", "0.5", "1")}
    assert answers["0"] == 2 * PROBLEMS and half["tokens"] == 10 * answers["0.5"]
    total = sum(answers.values())
    assert (
        f"{total:,} answers, {10 * total:,} tokens. 8 answers per problem at every alpha would be {24 * PROBLEMS}"
        in result.stdout
    )
    assert f"about {240 * PROBLEMS:,} tokens" in result.stdout
    assert {url for *_, url in sampler.runs} == {"http://started"}
    assert (tmp_path / "choice.md").read_text().startswith("alpha 0.5 is the best of 3 by pass@2\n")


@pytest.mark.slow
def test_a_choice_that_was_stopped_ends_like_one_that_was_not(sampler, tmp_path):
    whole = choose(tmp_path / "whole")
    sampler.stop_after = 3 * 2 * PROBLEMS + 30  # in the second round
    stopped = choose(tmp_path / "stopped")
    assert stopped.returncode == 130 and not (tmp_path / "stopped" / "choice.json").exists()
    sampler.stop_after = None
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped").rglob("*question*")}
    again = choose(tmp_path / "stopped")
    assert (again.returncode, whole.returncode) == (0, 0)
    first, second = ((tmp_path / name / "choice.json").read_bytes() for name in ("whole", "stopped"))
    assert first == second
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped").rglob("*question*")}
    assert before.items() <= after.items()
    sampler.runs.clear()
    assert choose(tmp_path / "whole").returncode == 0
    assert all(url == "" for *_, url in sampler.runs), "a server was started for a choice that is made"


def test_it_ends_when_the_tokens_are_spent_and_says_what_is_not_known(sampler, tmp_path):
    result = choose(tmp_path, "--token_budget", 3 * 2 * PROBLEMS * 10 + 100)
    assert result.returncode == 0, result.stderr
    assert "TOKEN_BUDGET is spent, and the best is not known to within 0.02: at 95 % confidence" in result.stdout
    assert json.loads((tmp_path / "choice.json").read_text())["rounds"] == 1


def test_a_wide_tolerance_ends_it_at_once(sampler, tmp_path):
    result = choose(tmp_path, "--tolerance", 0.9)
    assert "no other exceeds it by more than" in result.stdout
    assert json.loads((tmp_path / "choice.json").read_text())["ended_by"] == "known"


@pytest.mark.parametrize(
    ("flags", "best"),
    [
        (["--objective", "programs"], 0.5),  # more right answers, of the same three programs per problem
        (["--objective", "pass@1", "--level", 0.5], 0.5),
        (["--objective", "pass@1", "--level", 0.99], 0.5),  # none reaches it: the nearest
    ],
)
def test_other_objectives(sampler, tmp_path, flags, best):
    result = choose(tmp_path, *flags, "--tolerance", 0.1)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "choice.json").read_text())
    assert found["alpha"] == best
    assert (found["may_miss_level_by"] > 0.1) == (0.99 in flags)


def test_a_plan_says_what_an_interval_needs(sampler, tmp_path):
    choose(tmp_path, "--tolerance", 0.9)
    sampled = len(sampler.runs)
    result = choose(tmp_path, "--plan", 0.02)
    assert result.returncode == 0 and len(sampler.runs) == sampled
    assert (
        "alpha 0.5\n  pass@2 of" in result.stdout
        and "for others like them: more answers do not suffice" in result.stdout
    )
    empty = choose(tmp_path / "empty", "--plan", 0.02)
    assert (empty.returncode, "has no run folder of an alpha, such as alpha_0" in empty.stderr) == (2, True)
    write_converted(tmp_path / "unjudged" / "alpha_0.5", 1, 0, "print(1)", {"question": "?"}, correctness=None)
    unjudged = choose(tmp_path / "unjudged", "--plan", 0.02)
    assert (unjudged.returncode, "alpha_0.5 has no answer that was judged" in unjudged.stderr) == (2, True)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--objective", "pass"], "OBJECTIVE is one of pass@k, programs, pass@1, not 'pass'"),
        (["--first_samples", 9], "FIRST_SAMPLES is from 1 to MOST_SAMPLES (8), not 9"),
        (["--round_samples", 0], "ROUND_SAMPLES is at least 1, not 0"),
        (["--tolerance", 0], "TOLERANCE is above 0"),
        (["--confidence", 95], "CONFIDENCE is between 0 and 1, not 95"),
        (["--k", 0], "K is at least 1, not 0"),
        (["--level", 2], "LEVEL is a pass@k, from 0 to 1, not 2"),
        (["--plan", 0.02, "--k", 2001], "K is at most 2000 for a plan, not 2001"),
        (["--plan", -1], "PLAN is half the width of an interval, above 0, not -1"),
    ],
)
def test_bad_input_ends_in_one_sentence(sampler, tmp_path, flags, sentence):
    result = choose(tmp_path, *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr


def test_rounds_of_other_alphas_are_refused(sampler, tmp_path):
    choose(tmp_path, "--tolerance", 0.9)
    result = choose(tmp_path, "--alphas", 0, 1)
    assert result.returncode == 2 and "has rounds at alphas other than 0, 1: give another folder" in result.stderr
