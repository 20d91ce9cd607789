"""Tokens a second of the two sampling scripts beside vLLM servers, against vLLM's offline `LLM.chat`.

The same lab models, prompts, seeds, limits, batch and block sizes, and the engine in one process in both. Each is timed
from its first request to its last answer, files written; how long the script took in all, its start included, is shown
beside it. A CPU is shared: the server's engine, its HTTP front and the script have the cores together, where offline
the engine has them alone.

Switching writes the same total of tokens as the single run, in turns of the paper's length (K = 50, P = 300).
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hindsight.files.runs import read_run
from hindsight.problem_sets.selection import load_problems
from hindsight.sampling.samples import sample_seed
from hindsight.servers.vllm_process import CPU_ENVIRONMENT, ServeOptions, divide_threads, quickest_dtype, serve
from hindsight.text.prompts import chat_messages

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "lab" / "models"
SAMPLES = 6
MAX_TOKENS = 512
ROUNDS = 2
K, P = "50", "300"

OFFLINE = """
import json, sys, time
from vllm import LLM, SamplingParams
jobs = json.load(open(sys.argv[2]))
engine = LLM(sys.argv[1], dtype=sys.argv[4], enforce_eager=True, enable_chunked_prefill=False, max_num_seqs=256,
             block_size=32, max_num_batched_tokens=2048)
parameters = [SamplingParams(temperature=0.7, top_p=0.7, max_tokens=int(sys.argv[3]), seed=job["seed"]) for job in jobs]
begun = time.perf_counter()
outputs = engine.chat([job["messages"] for job in jobs], parameters, use_tqdm=False)
seconds = time.perf_counter() - begun
print(json.dumps([sum(len(output.outputs[0].token_ids) for output in outputs), seconds]))
"""


def run_script(script: str, folder: Path, *flags: str) -> tuple[float, float]:
    """A sampling script's tokens a second, and the same with its start counted."""
    command = [sys.executable, ROOT / script, "--output_dir", folder, "--num_samples", str(SAMPLES), *flags]
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.perf_counter() - begun
    run = read_run(folder)
    return run["completion_tokens"] / run["seconds"], run["completion_tokens"] / whole


def single(folder: Path) -> tuple[float, float]:
    """`single_model_inference.py` beside its server."""
    with serve(MODELS / "instruct", "lab-instruct") as server:
        flags = ["--base_urls", server.url, "--max_tokens", str(MAX_TOKENS)]
        return run_script("single_model_inference.py", folder, *flags)


def switching(folder: Path) -> tuple[float, float]:
    """`switching_inference.py` beside two servers."""
    with contextlib.ExitStack() as stack:
        urls = [
            stack.enter_context(
                serve(MODELS / name, f"lab-{name}", options=ServeOptions(threads=divide_threads(2)))
            ).url
            for name in ("base", "instruct")
        ]
        flags = ["--base_model_urls", urls[0], "--instruct_model_urls", urls[1], "--k", K, "--p", P]
        return run_script("switching_inference.py", folder, *flags, "--total_new_tokens", str(MAX_TOKENS))


def offline(folder: Path) -> float:
    """Tokens a second of `LLM.chat` on what `single_model_inference.py` sends."""
    jobs = [
        {"messages": chat_messages(problem), "seed": sample_seed(0, problem["question_id"], index)}
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


def main() -> None:
    found: dict[str, list[float]] = {"engine": [], "single": [], "whole": [], "switching": []}
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            found["engine"].append(offline(Path(folder)))
            ours, whole = single(Path(folder) / "single")
            found["single"].append(ours)
            found["whole"].append(whole)
            found["switching"].append(switching(Path(folder) / "switching")[0])
        rates = ", ".join(f"{name} {rates[-1]:.0f}" for name, rates in found.items())
        print(f"sampling, round {number + 1}: {rates}", flush=True)
    engine, ours, whole, turns = (statistics.median(rates) for rates in found.values())
    print("sampling: completion tokens a second, the lab's models, medians")
    print(f"  LLM.chat, offline                    {engine:7.0f}")
    print(f"  single_model_inference.py            {ours:7.0f}   of LLM.chat     {ours / engine:.2f}")
    print(f"    its start and end included         {whole:7.0f}                   {whole / engine:.2f}")
    print(f"  switching_inference.py, K {K}, P {P}  {turns:7.0f}   of the single   {turns / ours:.2f}")


if __name__ == "__main__":
    main()
