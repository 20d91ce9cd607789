"""Judging on a Ray cluster: several real nodes on this machine, one of them killed in the middle of the work."""

import json
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
from scripts import ROOT, run_in_process, run_script, write_converted

import check_converted_samples

pytestmark = pytest.mark.slow  # together they take over ten seconds

SCRIPT = "check_converted_samples.py"
ECHO = {"question": "Echo.", "input_output": json.dumps({"inputs": ["a b\n", "c\n"], "outputs": ["a b\n", "c\n"]})}
DOUBLE = {"question": "?", "input_output": json.dumps({"fn_name": "double", "inputs": [[2]], "outputs": [4]})}
LARGE = json.dumps({"inputs": ["x" * 2_000_000], "outputs": ["2000000"]})
# Detects a lost node in one second instead of fifteen.
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}
QUICK |= {"enable_worker_prestart": False, "prestart_worker_first_driver": False}  # starts workers when they are needed


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes with one CPU each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    folder = tempfile.mkdtemp(prefix="ray-")  # not tmp_path, which is too long for the sockets in it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "include_log_monitor": False, "_system_config": QUICK}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield cluster, cluster.add_node(num_cpus=1)
        cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def judged(folder):
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("converted*"))]
    return [(record.get("correctness"), record.get("correctness_reason")) for record in records]


def test_a_node_that_cannot_contain_programs_is_named(tmp_path, cluster):
    path = write_converted(tmp_path, 0, 0, "print()", ECHO)
    before = path.read_bytes()
    result = run_script(SCRIPT, "--input_dir", tmp_path, "--ray_address", cluster[0].address, "--sandbox")
    assert (result.returncode, path.read_bytes()) == (2, before)
    assert "of the Ray cluster: " in result.stderr
    assert "--unsafe" in result.stderr


def test_verdicts_on_a_cluster_of_which_a_node_is_killed_are_those_on_this_machine(tmp_path, cluster):
    checkers = tmp_path / "checkers"
    checkers.mkdir()
    (checkers / "question_7.py").write_text("def check(input, expected, output): return output == 'right'")
    programs = [
        (ECHO, "print(input())"),
        (ECHO, "print(input("),
        (ECHO, "raise ValueError"),
        (ECHO, "while True: pass"),
        (DOUBLE, "def double(n):\n    return 2 * n"),
        ({"question": "?", "input_output": "{}"}, "print(1)"),
        ({"question": "?", "input_output": LARGE}, "print(len(input()))"),
        (ECHO, "print('right', end='')"),
        *[(ECHO, f"import time\ntime.sleep(0.1)\nprint({'input()' if number % 3 else '0'})") for number in range(40)],
    ]
    for place in ("here", "cluster"):
        for number, (problem, program) in enumerate(programs):
            write_converted(tmp_path / place, number, 0, program, problem)
            write_converted(tmp_path / place, number, 1, program, problem)
    flags = ["--checkers", checkers, "--timeout", 1, "--input_dir"]
    assert run_in_process(check_converted_samples, *flags, tmp_path / "here").returncode == 1  # one has no tests

    run, (ray, node) = tmp_path / "cluster", cluster
    command = [sys.executable, ROOT / SCRIPT, *map(str, flags), run, "--ray_address", ray.address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while sum('"correctness"' in path.read_text() for path in run.glob("converted*")) < 2 * 8 + 10:
        time.sleep(0.05)
        assert process.poll() is None
    ray.remove_node(node, allow_graceful=False)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1, said
    assert judged(run) == judged(tmp_path / "here")
    assert judged(run).count((True, "")) == 8 + 2 * 26
    assert "2 nodes of Ray, 2 programs at once: Programs are contained by" in said
    assert f"{len(programs)} answers had the same program as another answer" in said


def test_a_missing_cluster_and_a_number_of_workers_end_in_one_sentence(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    write_converted(tmp_path, 0, 0, "print()", ECHO)
    for flags, sentence in (
        (["--ray_address", "127.0.0.1:1"], "no usable Ray cluster at 127.0.0.1:1"),
        (["--ray_address", "auto", "--workers", 2], "WORKERS is for this machine alone"),
    ):
        result = run_script(SCRIPT, "--input_dir", tmp_path, *flags)
        assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
        assert "Traceback" not in result.stderr


def test_ray_is_imported_only_with_its_flag_and_then_a_missing_ray_is_reported(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "ray.py").write_text("raise ImportError('there is no ray')")
    write_converted(tmp_path / "run", 0, 0, "print(input())", ECHO)
    flags = ["--input_dir", tmp_path / "run"]
    result = run_script(SCRIPT, *flags, "--ray_address", "auto", PYTHONPATH=str(tmp_path / "modules"))
    assert (result.returncode, 'pip install "ray==2.*"' in result.stderr) == (2, True)
    assert "Traceback" not in result.stderr
    assert run_script(SCRIPT, *flags, PYTHONPATH=str(tmp_path / "modules")).returncode == 0
