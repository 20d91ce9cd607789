"""What single_model_inference.py itself costs a sample, and whether its memory grows, beside a server of no model.

The server (`null_server`) answers each request at once. The script's CPU time, its whole start left out, is what a
sample costs the client; memory is the script's own (RssAnon), read while it runs.

    python -m benchmarks.client [PROBLEMS]     # 10 samples each; 100,000 problems take a quarter of an hour and 5 GB
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.null_server import MODEL
from hindsight.files.runs import read_run
from hindsight.servers.vllm_process import free_port

ROOT = Path(__file__).resolve().parents[1]
PROBLEMS, SAMPLES = 2_000, 10
LOOK_SECONDS = 0.1
QUESTION = "You are given two integers on one line. Print their sum. " * 20


def write_problems(path: Path, count: int) -> None:
    """A problem set of so many problems."""
    tests = json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]})
    with path.open("w") as file:
        for number in range(count):
            row = {"task_id": number, "question": f"{number}. {QUESTION}", "input_output": tests}
            file.write(json.dumps(row) + "\n")


def watch(process: subprocess.Popen, folder: Path) -> tuple[float, list[int]]:
    """A run's CPU seconds from its `run.json` on, which is written before the first request, and its memory in MiB."""
    before, cpu, memory = None, 0.0, []
    while process.poll() is None:
        if (folder / "run.json").exists():
            try:
                cpu = cpu_seconds(process.pid)
                memory.append(anonymous_mib(process.pid))
            except (OSError, StopIteration):  # it has just ended
                break
            before = cpu if before is None else before
        time.sleep(LOOK_SECONDS)
    process.wait()
    return cpu - (before or 0.0), memory


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, all its threads together (see clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def anonymous_mib(pid: int) -> int:
    """Memory that is a process's own, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("RssAnon:"))


def main(problems: int = PROBLEMS) -> None:
    with tempfile.TemporaryDirectory() as parent:
        port, folder, file = free_port(), Path(parent) / "run", Path(parent) / "problems.jsonl"
        write_problems(file, problems)
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.null_server", str(port)], cwd=ROOT)
        try:
            command = [sys.executable, ROOT / "single_model_inference.py", "--base_urls", f"http://127.0.0.1:{port}/v1"]
            command += ["--instruct_model", MODEL, "--problems", file, "--split", "", "--num_samples", str(SAMPLES)]
            command += ["--wait_for_server", "30", "--output_dir", folder]
            with (Path(parent) / "said").open("wb") as said:
                cpu, memory = watch(subprocess.Popen(command, stdout=said, stderr=said), folder)
        finally:
            server.kill()
            server.wait()
        run = read_run(folder)
    written = run["written"]
    print(f"client: single_model_inference.py, {problems:,} problems x {SAMPLES}, a server that answers at once")
    print(f"  {written:,} samples written, {run['missing']} missing")
    print(f"  CPU time a sample    {1000 * cpu / written:6.2f} ms")
    print(f"  wall time a sample   {1000 * run['seconds'] / written:6.2f} ms, the server's work and the files included")
    tenths = [memory[len(memory) * tenth // 10] for tenth in range(10)] + memory[-1:] if memory else []
    print(f"  memory, MiB, by tenths of the run: {' '.join(map(str, tenths))}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
