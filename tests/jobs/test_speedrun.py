"""jobs/speedrun.sh: its commands are read by the scripts, its costs add up; on demand, it runs on the lab.

LLAMAFACTORY_CLI=.venv-train/bin/llamafactory-cli python -m pytest tests/jobs/test_speedrun.py
"""

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT, wait_until

from hindsight.files.answer_files import list_files
from hindsight.settings import constant_comments, read_settings

SPEEDRUN = ROOT / "jobs" / "speedrun.sh"
LAB = {
    "BASE": "lab/models/base",
    "FINETUNED": "lab/models/instruct",
    "DIFFICULTY": "",
    "MAX_TOKENS": "512",
    "CUTOFF_LEN": "1024",
    "SERVE": "",
    "CONFIG": "SkyThought/train/lab_cpu.yaml",
    "CHAT_TEMPLATE": "",
    "FORCE_TORCHRUN": "",
}
SMALL = {"TRAIN_PROBLEMS": "60", "TEST_PROBLEMS": "3", "NUM_SAMPLES": "2", "ALPHAS": "0.7", "TRAIN_ARGS": "max_steps=2"}


def write_program(path, text):
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def commands(tmp_path):
    """Runs speedrun.sh with stand-ins for Python and LLaMA-Factory; gives the commands that it would run, as words."""
    calls = tmp_path / "calls"
    note = f'printf "%q " {{}} "$@" >> {calls}; echo >> {calls}'
    python = write_program(tmp_path / "python", note.format("python"))
    trained = 'for word in "$@"; do case $word in output_dir=*) mkdir -p "${word#*=}" ;; esac; done'
    factory = write_program(tmp_path / "llamafactory-cli", f"{note.format('llamafactory-cli')}\n{trained}")

    def run(**constants):
        own = {"PYTHON": str(python), "LLAMAFACTORY": str(factory), "RUNS": str(tmp_path / "runs"), **constants}
        result = subprocess.run(["bash", SPEEDRUN], env={**os.environ, **own}, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return [shlex.split(line) for line in calls.read_text().splitlines()]

    return run


def settings_of(words):
    """What the script of a command reads from its flags; of its module only the constants, without its imports."""
    name = words[words.index("-m") + 1] if "-m" in words else words[1].removesuffix(".py")
    path = ROOT / f"{name.replace('.', '/')}.py"
    source = path.read_text()
    module = {"__file__": str(path), "__doc__": ""}
    for line in ast.parse(source).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) in constant_comments(source):
            module[ast.unparse(line.targets[0])] = ast.literal_eval(line.value)
    return read_settings(module, words[words.index("-m") + 2 :] if "-m" in words else words[2:])


def test_the_commands_are_the_way_and_every_script_reads_its_flags(commands, tmp_path):
    found = commands()
    answer = "lab.pipeline"
    assert [" ".join(words[:3]).removeprefix("python ").split(" --")[0] for words in found] == [
        "merge_models.py", *[f"-m {answer}"] * 5, "convert_to_data.py",
        "SkyThought/train/check_dataset.py SkyThought/train/llama3.1_8b_full.yaml",
        "llamafactory-cli train SkyThought/train/llama3.1_8b_full.yaml", f"-m {answer}", "pass_at_k_plot.py",
    ]  # fmt: skip
    settings = [settings_of(words) for words in found if "SkyThought" not in " ".join(words[:3])]
    runs = tmp_path / "runs"
    assert settings[0].alphas == (0.7, 0.9)
    names = ["teacher", "base", "finetuned", "alpha_0.7", "alpha_0.9"]
    assert [each.name for each in settings[1:6]] == names
    assert [each.split for each in settings[1:6]] == ["train", *["test"] * 4]
    checkpoints = [each.checkpoint for each in settings[1:6]]
    assert checkpoints[0] == checkpoints[3] == f"{runs}/models/alpha_0.7"
    assert [each.prompt for each in settings[1:6]] == ["instruct", "base", *["instruct"] * 3]
    assert settings[1].merged_from == ("meta-llama/Llama-3.1-8B", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "0.7")
    assert settings[1].serve.endswith("--data-parallel-size 8") and "{model}" in settings[1].serve
    assert (settings[6].input_dirs, settings[6].test_split) == ((f"{runs}/teacher",), "test")
    assert settings[7].checkpoint == f"{runs}/models/trained"
    assert settings[8].input_dirs == tuple(f"{runs}/{name}" for name in ("base", *names[3:], "finetuned", "trained"))
    assert settings[8].ks == tuple(range(1, 11))


def test_training_reads_the_dataset_and_the_config_that_the_file_names(commands, tmp_path):
    (words,) = [words for words in commands(TRAIN_ARGS="max_steps=3") if words[:2] == ["llamafactory-cli", "train"]]
    assert words[2:] == [
        "SkyThought/train/llama3.1_8b_full.yaml", "model_name_or_path=meta-llama/Llama-3.1-8B",
        f"dataset_dir={tmp_path}/runs/data", "cutoff_len=10240", "max_steps=3",
        f"output_dir={tmp_path}/runs/models/trained",
    ]  # fmt: skip
    assert (ROOT / words[2]).exists()


def test_a_constant_can_be_set_to_nothing(commands):
    found = [settings_of(words) for words in commands(**LAB) if "lab.pipeline" in words]
    assert {(each.serve, each.difficulty, each.max_tokens) for each in found} == {("", "", 512)}


def test_the_costs_on_paper_follow_from_the_assumptions():
    """Hours and dollars of each step, by the assumptions in the head of the file."""
    rows = re.findall(r"^#     (\w.*?)  +(?:(\d+) M +)?(\d\.\d) +(\d+)$", SPEEDRUN.read_text(), re.MULTILINE)
    table = {name: (int(tokens or 0), float(hours), int(dollars)) for name, tokens, hours, dollars in rows}
    rate, node = 24_000 * 3600, 8 * 2.50
    training = 10_000 * 5_500 * 2 * 8e9 * 8 / (8 * 989e12 * 0.30) / 3600
    hours = {
        "download and merge": 0.1,
        "the teacher answers the training problems": 3200 * 10 * 5000 / rate,
        "five models answer the test problems": 5 * 200 * 10 * 5000 / rate,
        "six servers start": 6 * 3 / 60,
        "42,000 answers are judged": 42_000 * 2 / 96 / 3600,
        "fine-tuning": training,
    }
    hours["all"] = sum(hours.values())
    assert {name: row[1:] for name, row in table.items()} == {
        name: (round(each, 1), round(each * node)) for name, each in hours.items()
    }
    assert [row[0] for row in table.values() if row[0]] == [160, 50, 110]


def test_it_is_a_way_to_read_in_80_lines():
    lines = SPEEDRUN.read_text().splitlines()
    assert len(lines) <= 80 and max(map(len, lines)) <= 120


def test_every_flag_that_the_file_names_is_one_of_its_scripts():
    scripts = ("merge_models.py", "lab/pipeline.py", "convert_to_data.py", "pass_at_k_plot.py")
    known = {f"--{name.lower()}" for script in scripts for name in constant_comments((ROOT / script).read_text())}
    commands = SPEEDRUN.read_text().partition('part "step 0')[2]
    assert set(re.findall(r"--[a-z_]+", commands)) <= known


@pytest.fixture
def lab(tmp_path):
    """The environment of a small run on the lab, in a temporary folder; half of its problems are called train."""
    problems = tmp_path / "problems.jsonl"
    rows = [json.loads(line) for line in (ROOT / "lab" / "problems.jsonl").read_text().splitlines()]
    split = [{**row, "split": "train" if number % 2 else "test"} for number, row in enumerate(rows)]
    problems.write_text("".join(f"{json.dumps(row)}\n" for row in split))
    own = {"PYTHON": sys.executable, "RUNS": str(tmp_path / "run"), "PROBLEMS": str(problems), "PORT": "0"}
    return {**os.environ, **LAB, **SMALL, **own, "LLAMAFACTORY": str(Path(os.environ["LLAMAFACTORY_CLI"]).absolute())}


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.train
def test_on_the_lab_a_killed_run_resumes_and_ends_with_a_figure(lab):
    """Killed while the teacher answers and again while the dataset is trained on; then it completes."""
    run = Path(lab["RUNS"])
    signs = (
        lambda: (run / "teacher").is_dir() and list_files(run / "teacher", "sample"),
        lambda: (run / "data" / "hindsight.report.json").exists(),
    )
    for sign in signs:
        with subprocess.Popen(["bash", SPEEDRUN], env=lab, stdout=subprocess.DEVNULL) as process:
            wait_until(sign, 1800)
            process.send_signal(signal.SIGKILL)
    result = subprocess.run(["bash", SPEEDRUN], env=lab, capture_output=True, text=True, timeout=6000)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    curves = json.loads((run / "pass_at_k.json").read_text())["curves"]
    assert [(curve["label"], curve["problems"], curve["samples"]) for curve in curves] == [
        ("base", 3, 6), ("alpha 0.7", 3, 6), ("finetuned", 3, 6), ("trained", 3, 6),
    ]  # fmt: skip
    assert len(list_files(run / "teacher", "sample")) == 120
    assert (run / "pass_at_k.png").exists() and (run / "models" / "trained" / "config.json").exists()
    before = times(run)
    again = subprocess.run(["bash", SPEEDRUN], env=lab, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0 and times(run) == before


def times(run):
    """When each answer, checkpoint and server log was written."""
    patterns = ("*/server.log", "models/**/*.safetensors", "*/question_*.json")
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in run.glob(pattern)}
