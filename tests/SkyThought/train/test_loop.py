"""SkyThought/train/loop.sh: its flags exist; with LLaMA-Factory a small loop runs, is killed, and resumes.

LLAMAFACTORY_CLI=.venv-train/bin/llamafactory-cli python -m pytest tests/SkyThought/train/test_loop.py
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT, wait_until

from hindsight.files.answer_files import list_files
from hindsight.servers.vllm_process import hold_port
from hindsight.settings import constant_comments

LOOP = ROOT / "SkyThought" / "train" / "loop.sh"
SOURCE = (LOOP.with_name("run.sh").read_text() + LOOP.read_text()).replace("\\\n", " ")
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
    """Each line that calls one of our scripts, with the script; `answer` passes its flags on to `lab.pipeline`."""
    for line in SOURCE.splitlines():
        line = re.split(r"(?:^|\s)#", line)[0]
        script = re.search(r"\b([a-z_]+\.py)\b|-m ([a-z_.]+)\b", line)
        if script and "--" in line:
            yield script[1] or f"{script[2].replace('.', '/')}.py", line
        elif line.strip().startswith(("answer ", "ON_TEST=")):
            yield "lab/pipeline.py", line


@pytest.mark.parametrize(("script", "line"), list(calls()))
def test_every_flag_in_the_loop_exists(script, line):
    known = {f"--{name.lower()}" for name in constant_comments((ROOT / script).read_text())}
    assert set(re.findall(r"--[a-z_]+", line)) <= known


def test_the_scripts_are_valid_bash_and_the_loop_calls_every_step():
    steps = {"lab/world/make_problems.py", "merge_models.py", "lab/pipeline.py", "convert_to_data.py"}
    assert {script for script, _ in calls()} == {*steps, "pass_at_k_plot.py"}
    for script in LOOP.parent.glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)


def test_a_missing_problem_file_ends_the_loop_before_a_server_starts(tmp_path):
    python = tmp_path / "python"  # merges nothing, which would take seconds
    python.write_text(f'#!/usr/bin/env bash\n[[ $1 == merge_models.py ]] || exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    settings = {"PYTHON": str(python), "RUNS": str(tmp_path), "PROBLEMS": str(tmp_path / "none.jsonl")}
    result = subprocess.run(["bash", LOOP], env={**os.environ, **settings}, capture_output=True, text=True)
    assert result.returncode != 0 and "there is no problem file" in result.stderr
    assert not list(tmp_path.rglob("server.log"))


@pytest.fixture
def trainer(tmp_path):
    """A stand-in for LLaMA-Factory that writes down its arguments, and writes what training and export leave."""
    folder = tmp_path / "bin"
    folder.mkdir()
    cli = folder / "llamafactory-cli"
    cli.write_text(
        f"""#!/usr/bin/env bash
echo "$@" >> {tmp_path}/calls
for word in "$@"; do case $word in
    output_dir=*) mkdir -p "${{word#*=}}"; touch "${{word#*=}}/train_results.json" ;;
    export_dir=*) mkdir -p "${{word#*=}}" ;;
esac; done
"""
    )
    (folder / "python").write_text(f'#!/usr/bin/env bash\necho check "${{@:2}}" >> {tmp_path}/calls\n')
    for script in folder.iterdir():
        script.chmod(0o755)
    return cli


def finetune(trainer, *words, **settings):
    environment = {**os.environ, "LLAMAFACTORY": str(trainer), **settings}
    subprocess.run(["bash", LOOP.with_name("finetune.sh"), *words], env=environment, check=True, capture_output=True)
    calls = trainer.parents[1] / "calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return lines


def test_finetuning_checks_the_dataset_first_and_passes_settings_on(trainer):
    assert finetune(trainer, "a.yaml", "max_steps=3") == ["check a.yaml max_steps=3", "train a.yaml max_steps=3"]


def test_a_finished_training_is_not_repeated_and_half_written_weights_go(trainer, tmp_path):
    output = tmp_path / "finetuned"
    output.mkdir()
    (output / "model.safetensors").write_text("half")
    words = ("a.yaml", f"output_dir={output}")
    assert finetune(trainer, "a.yaml", OUTPUT=str(output)) == [
        f"{step} {' '.join(words)}" for step in ("check", "train")
    ]
    assert not list(output.glob("*.safetensors"))
    assert finetune(trainer, "a.yaml", OUTPUT=str(output)) == []


def test_weights_stay_when_the_training_saved_on_the_way(trainer, tmp_path):
    weights = tmp_path / "finetuned" / "model.safetensors"
    (tmp_path / "finetuned" / "checkpoint-2").mkdir(parents=True)
    weights.write_text("whole")
    finetune(trainer, "a.yaml", OUTPUT=str(weights.parent))
    assert weights.exists()


def test_an_adapter_becomes_a_whole_checkpoint(trainer, tmp_path):
    calls = finetune(trainer, "a.yaml", "model_name_or_path=b", OUTPUT=f"{tmp_path}/whole", EXPORT="export.yaml")
    adapter, part = tmp_path / "adapter", tmp_path / "whole.part"
    assert calls[1:] == [
        f"train a.yaml model_name_or_path=b output_dir={adapter}",
        f"export export.yaml model_name_or_path=b adapter_name_or_path={adapter} export_dir={part}",
    ]
    assert (tmp_path / "whole").is_dir()


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The environment of a small loop in a temporary folder."""
    with hold_port() as held:
        port = held.getsockname()[1]
        own = {"RUNS": str(tmp_path_factory.mktemp("loop")), "PORT": str(port), "PYTHON": sys.executable}
        yield {**os.environ, **SMALL, **own, "LLAMAFACTORY": str(Path(CLI).absolute())}


def processes_of(settings):
    """The command lines of the loop's running servers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--port" in words and settings["PORT"] in words:
            found.append(words)
    return found


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.train
def test_a_killed_loop_leaves_no_server_and_resumes(settings):
    """It is killed while its first server starts; the second run completes; a third one repeats nothing."""
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
    """When each server log, checkpoint and answer was written."""
    patterns = ("*/server.log", "models/**/*.safetensors", "*/question_*.json")
    found = {path: path.stat().st_mtime_ns for pattern in patterns for path in runs.glob(pattern)}
    assert len(found) >= 4 + 3 + 40 + 3 * 6
    return found
