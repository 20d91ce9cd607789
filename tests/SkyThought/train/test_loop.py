"""SkyThought/train/loop.sh: its flags are real; with LLaMA-Factory a small loop is run, killed, and run again.

LLAMAFACTORY_CLI=.venv-train/bin/llamafactory-cli python -m pytest tests/test_loop.py
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts import ROOT

from hindsight.files.answer_files import list_files
from hindsight.servers.vllm_process import free_port
from hindsight.settings import constant_comments

LOOP = ROOT / "SkyThought" / "train" / "loop.sh"
SOURCE = LOOP.read_text().replace("\\\n", " ")
CLI = os.environ.get("LLAMAFACTORY_CLI")
SMALL = {
    "MAX_TRAIN_PROBLEMS": "20",
    "TRAIN_SAMPLES": "2",
    "MAX_TEST_PROBLEMS": "3",
    "NUM_SAMPLES": "2",
    "ALPHAS": "0.7",
    "VALIDATION": "0",
    "TRAIN_ARGS": "max_steps=2",
}


def calls():
    """Each line that calls one of our scripts, with the script; what `answer` hands on goes to the sampling script."""
    for line in SOURCE.splitlines():
        script = re.search(r"\b([a-z_]+\.py)\b|-m ([a-z]+\.[a-z_]+)\b", line.split("#")[0])
        if script and "--" in line:
            yield script[1] or f"{script[2].replace('.', '/')}.py", line
        elif line.strip().startswith("answer "):
            yield "single_model_inference.py", line


@pytest.mark.parametrize(("script", "line"), list(calls()))
def test_every_flag_in_the_loop_is_one(script, line):
    known = {f"--{name.lower()}" for name in constant_comments((ROOT / script).read_text())}
    assert set(re.findall(r"--[a-z_]+", line)) <= known


def test_the_loop_calls_every_step_and_is_shell():
    steps = {
        "lab/world/make_problems.py",
        "hindsight/servers/vllm_process.py",
        "merge_models.py",
        "single_model_inference.py",
    }
    steps |= {"format_converter.py", "check_converted_samples.py", "convert_to_data.py", "pass_at_k_plot.py"}
    assert {script for script, _ in calls()} == steps
    subprocess.run(["bash", "-n", LOOP], check=True)


def test_what_makes_no_sense_ends_the_loop_before_anything_is_sampled(tmp_path):
    settings = {"PYTHON": sys.executable, "RUNS": str(tmp_path), "PROBLEMS": str(tmp_path / "none.jsonl")}
    result = subprocess.run(["bash", LOOP], env={**os.environ, **settings}, capture_output=True, text=True)
    assert result.returncode != 0 and "there is no problem file" in result.stderr
    assert not list(tmp_path.glob("server_*"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The environment of a small loop in a folder of its own."""
    own = {"RUNS": str(tmp_path_factory.mktemp("loop")), "PORT": str(free_port()), "PYTHON": sys.executable}
    return {**os.environ, **SMALL, **own, "LLAMAFACTORY": str(Path(CLI).absolute())}


def processes_of(settings):
    """Command lines of the loop's servers that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--port" in words and settings["PORT"] in words:
            found.append(words)
    return found


def wait_until(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.2)
    assert condition()


@pytest.mark.skipif(not CLI, reason="LLAMAFACTORY_CLI does not name a llamafactory-cli")
def test_a_loop_that_is_killed_leaves_no_server_and_goes_on(settings):
    """Killed while its first server starts; then it runs through; a third run makes nothing anew."""
    runs = Path(settings["RUNS"])
    with subprocess.Popen(["bash", LOOP], env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_until(lambda: len(processes_of(settings)) > 1, 120)  # the script that serves, and vLLM
        first.send_signal(signal.SIGKILL)
    wait_until(lambda: not processes_of(settings), 60)

    second = subprocess.run(["bash", LOOP], env=settings, capture_output=True, text=True, timeout=1500)
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    assert not processes_of(settings)
    curves = json.loads((runs / "pass_at_k.json").read_text())["curves"]
    assert [(curve["label"], curve["problems"], curve["samples"]) for curve in curves] == [
        ("start", 3, 6),
        ("alpha 0.7", 3, 6),
        ("finetuned", 3, 6),
    ]
    assert len(list_files(runs / "teacher", "sample")) == 40
    assert (runs / "models" / "merged" / "alpha_0.7" / "config.json").exists()

    before = times(runs)
    third = subprocess.run(["bash", LOOP], env=settings, capture_output=True, text=True, timeout=300)
    assert third.returncode == 0, third.stdout[-3000:] + third.stderr[-3000:]
    assert times(runs) == before


def times(runs):
    """When each server's log, checkpoint and answer was written."""
    patterns = ("server_*.log", "models/**/*.safetensors", "*/question_*.json")
    found = {path: path.stat().st_mtime_ns for pattern in patterns for path in runs.glob(pattern)}
    assert len(found) >= 4 + 3 + 40 + 3 * 6
    return found
