"""Measures the CPU time of single_model_inference.py per sample, and whether its memory grows.

Its server has no model and answers each request at once (`null_server`), so only the client's work is left. CPU time
does not include the script's start; memory is what the script alone uses (RssAnon in /proc).

    python -m benchmarks.client [PROBLEMS]     # 10 samples each; 100,000 problems take 15 minutes and 5 GB of disk
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import run_benchmark
from benchmarks.null_server import MODEL
from hindsight.files.runs import read_run
from hindsight.servers.vllm_process import hold_port

ROOT = Path(__file__).resolve().parents[1]
PROBLEMS, SAMPLES = 2_000, 10
POLL_SECONDS = 0.1  # between two measurements
QUESTION = "You are given two integers on one line. Print their sum. " * 20


def write_problems(path: Path, count: int) -> None:
    """Writes a problem set of `count` problems."""
    tests = json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]})
    with path.open("w") as file:
        for number in range(count):
            row = {"task_id": number, "question": f"{number}. {QUESTION}", "input_output": tests}
            file.write(json.dumps(row) + "\n")


def watch(process: subprocess.Popen, folder: Path) -> tuple[float, list[int]]:
    """Waits until a run ends; its CPU seconds and, at each measurement, its memory in MiB.

    The CPU time counts from when the script writes `run.json`, which is just before its first request.
    """
    before, cpu, memory = None, 0.0, []
    while process.poll() is None:
        if (folder / "run.json").exists():
            try:
                cpu = cpu_seconds(process.pid)
                memory.append(anonymous_mib(process.pid))
            except (OSError, StopIteration):  # the process has just ended
                break
            before = cpu if before is None else before
        time.sleep(POLL_SECONDS)
    process.wait()
    return cpu - (before or 0.0), memory


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its threads, from the id of its clock (see clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def anonymous_mib(pid: int) -> int:
    """Memory that a process shares with no file or other process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("RssAnon:"))


def main(problems: int = PROBLEMS) -> None:
    with tempfile.TemporaryDirectory() as parent, hold_port() as held:
        port, folder, file = held.getsockname()[1], Path(parent) / "run", Path(parent) / "problems.jsonl"
        write_problems(file, problems)
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.null_server", str(port)], cwd=ROOT)
        try:
            command = [sys.executable, ROOT / "single_model_inference.py", "--base_urls", f"http://127.0.0.1:{port}/v1"]
            command += ["--instruct_model", MODEL, "--problems", file, "--split", "", "--num_samples", str(SAMPLES)]
            command += ["--wait_for_server", "30", "--output_dir", folder]
            with (Path(parent) / "output").open("wb") as output:
                cpu, memory = watch(subprocess.Popen(command, stdout=output, stderr=output), folder)
        finally:
            server.kill()
            server.wait()
        run = read_run(folder)
    assert run is not None
    written = run["written"]
    print(f"client: single_model_inference.py, {problems:,} problems x {SAMPLES}, server without a model")
    print(f"  {written:,} samples written, {run['missing']} missing")
    print(f"  CPU time per sample   {1000 * cpu / written:6.2f} ms")
    print(
        f"  wall time per sample  {1000 * run['seconds'] / written:6.2f} ms, including the server's work and the files"
    )
    tenths = [memory[len(memory) * tenth // 10] for tenth in range(10)] + memory[-1:] if memory else []
    print(f"  memory, MiB, by tenths of the run: {' '.join(map(str, tenths))}")


if __name__ == "__main__":
    run_benchmark(main)
