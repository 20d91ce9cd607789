"""The Slurm job scripts on a real Slurm of two nodes, with real vLLM servers: on demand, five minutes.

HINDSIGHT_SLURM=1 python -m pytest tests/jobs/test_slurm.py
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from scripts import ROOT

from hindsight.files.answer_files import list_files, sample_path
from hindsight.files.records import read_record, write_json
from hindsight.text.uniform_format import render

pytestmark = [pytest.mark.slow, pytest.mark.server]

ECHO = {"question": "Echo.", "input_output": json.dumps({"inputs": ["a b\n", "c\n"], "outputs": ["a b\n", "c\n"]})}
# One request at a time and float32: nothing else decides between two tokens that are equally likely.
CHAIN = {
    "ALPHAS": "0.7",
    "END_IDX": "6",
    "NUM_SAMPLES": "2",
    "SAMPLING": "--seed 3 --concurrency 1",
    "SERVING": "--dtype float32 --kv_cache_gib 1 --threads 1",
    "CURATING": "--validation 0",
}
TEST, TRAIN = "alpha_0.7/test", "alpha_0.7/train"


def submit_chain(slurm, runs):
    """Submits the chain, of which one job runs at a time; the ids of its jobs, in order."""
    said = slurm.run("bash", "jobs/slurm/submit_chain.sh", "--licenses=turn", RUNS=runs, **CHAIN)
    return [line.split()[-1] for line in said.splitlines()]


def wait_for_answers(run, number, seconds=3600.0):
    until = time.monotonic() + seconds
    while not run.is_dir() or len(list_files(run, "sample")) < number:
        assert time.monotonic() < until, f"{run} has no {number} answers"
        time.sleep(0.05)


def process_of(script, run, seconds=3600.0):
    """The id of the process that runs a script on a run folder, as soon as there is one."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().decode(errors="replace").split("\0")
                if script in words and str(run) in words:
                    return int(path.parent.name)
        time.sleep(0.05)
    raise AssertionError(f"{script} was not called for {run}")


def answers(run):
    """Each answer's text, what was asked for and its verdict; not the times of its tests."""
    keys = ("prompt", "generated_text", "generation_config", "finish_reason", "converted_text", "correctness")
    raw, checked = list_files(run, "sample"), list_files(run, "converted")
    records = {key: read_record(path) | read_record(checked.get(key, path)) for key, path in raw.items()}
    return {key: {name: record.get(name) for name in keys} for key, record in records.items()}


def test_a_chain_with_a_preempted_and_a_killed_job_ends_as_one_without(slurm, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    begun = time.monotonic()
    for job in submit_chain(slurm, whole):
        slurm.wait_for(job)
    print(f"a chain takes {time.monotonic() - begun:.0f} s")

    _, sampled, judged, *_ = jobs = submit_chain(slurm, broken)
    wait_for_answers(broken / TEST, 3)
    node = slurm.job(sampled)["NodeList"]
    urgent = slurm.run(
        "sbatch", "--parsable", "--partition=urgent", "--exclusive", f"--nodelist={node}", "--wrap", "sleep 1"
    ).strip()
    slurm.wait_for(urgent)
    there = len(list_files(broken / TEST, "sample"))
    assert 3 <= there < 12
    slurm.wait_for(sampled)
    assert slurm.job(sampled)["Restarts"] == "1"

    os.kill(process_of("check_converted_samples.py", broken / TEST), signal.SIGKILL)
    log = slurm.wait_for(judged)
    assert "python was killed (status 137); job" in log and "goes back into the queue" in log
    assert slurm.job(judged)["Restarts"] == "1"

    for job in jobs:
        slurm.wait_for(job)
    print(f"both take {time.monotonic() - begun:.0f} s")
    for run in (TEST, TRAIN):
        assert len(answers(whole / run)) == 12
        assert answers(broken / run) == answers(whole / run)
        assert not list((broken / run).glob(".*.tmp"))
    for file in ("data/hindsight.json", "pass_at_k.json"):
        one, other = ((runs / file).read_text().replace(str(runs), "") for runs in (whole, broken))
        assert one == other
    assert json.loads((whole / "data" / "hindsight.json").read_text())


@pytest.fixture
def toy_environment(tmp_path):
    """A virtual environment whose `vllm serve` is the toy server."""
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "vllm").write_text(
        f"""#!{sys.executable}
import signal, sys
sys.path[:0] = ["{ROOT}", "{ROOT}/tests/helpers"]
from toy_server import ToyServer
toy = ToyServer()
toy.delay = 0.2
toy.port = int(sys.argv[sys.argv.index("--port") + 1])
toy.start()
signal.pause()
"""
    )
    for path in folder.iterdir():
        path.chmod(0o755)
    return folder.parent


def test_an_array_samples_each_part_of_the_problems_into_one_folder(slurm, tmp_path, toy_environment):
    settings = {"DEVICE": "gpu", "VENV": toy_environment, "END_IDX": 5, "NUM_SAMPLES": 2}
    job = slurm.submit("sample.sh", "--array=0-1", RUN=tmp_path / "run", **settings)
    for part, answers in enumerate((6, 4)):
        log = slurm.wait_for(f"{job}_{part}")
        assert f"{answers // 2} problems, 2 samples each, 0 exist" in log and f"{answers} samples written" in log
    assert len(list_files(tmp_path / "run" / "test", "sample")) == 10


def test_a_job_whose_sampler_is_killed_and_which_is_killed_itself_ends_with_every_answer(
    slurm, tmp_path, toy_environment
):
    settings = {"DEVICE": "gpu", "VENV": toy_environment, "END_IDX": 10, "NUM_SAMPLES": 2, "RUN": tmp_path / "run"}
    job = slurm.submit("sample.sh", SAMPLING="--concurrency 1", **settings)
    after = slurm.run("sbatch", "--parsable", f"--dependency=afterok:{job}", "--wrap", "true").strip()
    run = tmp_path / "run" / "test"
    wait_for_answers(run, 2)
    os.kill(process_of("single_model_inference.py", run), signal.SIGKILL)
    wait_for_answers(run, 8)
    assert slurm.job(job)["Restarts"] == "1" and slurm.job(after)["Reason"] == "Dependency"

    slurm.run("scancel", "--signal=KILL", "--full", job)
    log = slurm.wait_for(job, "CANCELLED")
    assert "python was killed (status 137)" in log and len(list_files(run, "sample")) < 20
    slurm.run("scontrol", "requeue", job)
    slurm.run("scontrol", "update", f"jobid={after}", f"dependency=afterok:{job}")
    assert "20 samples written" not in slurm.wait_for(job)
    assert len(list_files(run, "sample")) == 20
    slurm.wait_for(after)


def test_near_its_time_limit_a_job_goes_back_into_the_queue(slurm, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text(
        f"""#!/usr/bin/env bash
#SBATCH --time=2 --signal=B:USR1@60 --requeue --open-mode=append
RUN={tmp_path}
source jobs/slurm/common.sh
((${{SLURM_RESTART_COUNT:-0}})) || run sleep 300
echo resumed
"""
    )
    log = slurm.wait_for(slurm.submit(script))
    assert "the time limit is near; job" in log and log.endswith("resumed\n")


def write_raw(run, question_id, program):
    text = render("hm", f"```python\n{program}\n```")
    record = {"prompt": "", "generated_text": text, "metadata": ECHO, "question_id": question_id, "sample_index": 0}
    run.mkdir(exist_ok=True)
    write_json(sample_path(run, question_id, 0), record)


def test_ray_judges_on_both_nodes_what_one_node_judges(slurm, tmp_path):
    for nodes in (1, 2):
        run = tmp_path / f"run{nodes}"
        for number, program in enumerate(("print(input())", "print(1)", "1/0")):
            write_raw(run, number, program)
        log = slurm.wait_for(slurm.submit("judge.sh", f"--nodes={nodes}", "--cpus-per-task=1", RUN=run))
        assert ("2 nodes of Ray, 2 programs at once" in log) == (nodes == 2)
        verdicts = [read_record(path)["correctness_reason"] for path in list_files(run, "converted").values()]
        assert verdicts == ["", "wrong answer", "runtime error: ZeroDivisionError"]


def test_a_sweep_makes_its_table_and_figure(slurm, tmp_path):
    flags = {"ALPHAS": "0 1", "END_IDX": 2, "NUM_SAMPLES": 1, "SWEEPING": "--ks 1"}
    log = slurm.wait_for(slurm.submit("sweep.sh", "--gres=none", RUN=tmp_path / "sweep", **flags))
    assert (tmp_path / "sweep" / "sweep.png").exists(), log


@pytest.mark.parametrize(
    ("script", "flags", "settings", "sentence"),
    [
        ("sample.sh", ["--gres=none"], {"DEVICE": "gpu"}, "the job has no GPU on node1: submit it with --gres=gpu:1"),
        ("sample.sh", ["--nodelist=node2"], {}, "is not shared: node2 does not see what"),
        ("judge.sh", ["--nodes=2"], {}, "is not shared: other nodes do not see what node1 wrote there"),
    ],
)
def test_what_a_job_lacks_is_said_in_one_sentence(slurm, script, flags, settings, sentence):
    job = slurm.submit(script, *flags, RUN=slurm.own_disk / "run", **settings)
    log = slurm.wait_for(job, "FAILED")
    assert sentence in log and slurm.job(job)["ExitCode"] == "2:0"
    assert len([line for line in log.splitlines() if not line.startswith("srun:")]) == 1, log
