"""jobs/sky.yaml: its commands are bash and name scripts and flags that exist; SkyPilot's parser reads it, on demand.

SKY_PYTHON=/path/to/an/environment/with/skypilot/bin/python python -m pytest tests/jobs/test_sky.py
"""

import json
import os
import re
import subprocess

import pytest
import yaml
from scripts import ROOT

from hindsight.settings import constant_comments

PATH = ROOT / "jobs" / "sky.yaml"
TASK = yaml.safe_load(PATH.read_text())
READ = f"""
import json, sky
task = sky.Task.from_yaml({str(PATH)!r})
resources = [str(each.accelerators) for each in task.resources]
print(json.dumps([task.name, sorted(resources), task.num_nodes, task.envs, list(task.storage_mounts), task.run]))
"""


def test_its_commands_are_bash():
    for part in ("setup", "run"):
        subprocess.run(["bash", "-n"], input=TASK[part], text=True, check=True)


def test_its_scripts_flags_and_files_exist():
    commands = TASK["run"].replace("\\\n", " ")
    asked = set(re.findall(r"--[a-z_]+", re.search(r"asked=\((.*?)\)", commands)[1]))
    for script in ("single_model_inference.py", "analysis/sweep_alphas.py"):
        (call,) = re.findall(rf"python {script}(.*)", commands)
        known = {f"--{name.lower()}" for name in constant_comments((ROOT / script).read_text())}
        assert "${asked[@]}" in call
        assert set(re.findall(r"--[a-z_]+", call)) | asked <= known
    (requirements,) = re.findall(r"--requirement (\S+)", TASK["setup"])
    assert (ROOT / requirements).exists()


def test_every_variable_is_an_env_or_the_scripts_own_and_each_env_is_used():
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]*)", PATH.read_text().replace("# ", "")))
    assert used == set(TASK["envs"])


STUBS = r"""
source() { :; }
vllm() { echo "$*" > ~/"served_$CUDA_VISIBLE_DEVICES"; exec sleep 60; }
python() { until [[ $(ls ~ | grep -c served_) == 8 ]]; do sleep 0.05; done; echo "$*"; }
"""


def test_one_alpha_per_gpu(tmp_path):
    """Its commands, run with stand-ins for vLLM and Python: which server, port and folder each alpha has."""
    envs = {name: str(value) for name, value in TASK["envs"].items()}
    environment = {**envs, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    run = {"input": STUBS + TASK["run"], "env": environment, "capture_output": True, "text": True, "timeout": 60}
    result = subprocess.run(["bash", "-eu"], **run)
    assert result.returncode == 0, result.stderr
    *asked, last = result.stdout.splitlines()
    alphas = envs["ALPHAS"].split()
    assert len(asked) == len(alphas) == 8
    for gpu, alpha in enumerate(alphas):
        served = (tmp_path / f"served_{gpu}").read_text()
        assert served.startswith("serve deepseek-ai/") and f"--port {8000 + gpu} " in served
        extra = json.loads(re.search(r"--model-loader-extra-config (\{.*\})", served)[1])
        assert extra == {"base": "meta-llama/Llama-3.1-8B", "alpha": float(alpha)}
        folder = f"{tmp_path}/bucket/sweep/alpha_{float(alpha):g}"  # as the sweep calls it
        (command,) = [line for line in asked if line.endswith(f"--output_dir {folder}")]
        assert f"http://localhost:{8000 + gpu}/v1" in command and f"R1-Distill-Llama-8B {alpha} --problems" in command
    assert last.startswith("analysis/sweep_alphas.py") and f"--alphas {envs['ALPHAS']} --problems mbppplus" in last


def test_skypilots_parser_reads_it(tmp_path):
    python = os.environ.get("SKY_PYTHON")
    if not python:
        pytest.skip("SKY_PYTHON names no Python with skypilot")
    environment = {**os.environ, "HOME": str(tmp_path), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1", "HF_TOKEN": "x"}
    result = subprocess.run([python, "-c", READ], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    name, resources, nodes, envs, mounts, commands = json.loads(result.stdout.splitlines()[-1])
    assert (name, nodes, mounts, commands) == ("alpha-sweep", 1, ["~/bucket"], TASK["run"])
    assert resources == ["{'A100-80GB': 8}", "{'H100': 8}", "{'H200': 8}"]
    assert envs["BASE"] == TASK["envs"]["BASE"]
