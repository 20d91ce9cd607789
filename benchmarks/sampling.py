"""Tokens a second of single_model_inference.py beside a vLLM server, against vLLM's offline `LLM.generate`.

The same lab model, prompts, seeds and limits. The offline engine runs in a process of its own and is timed from the
first prompt to the last token, the script from its start to its end, files written. On a CPU the server's engine, its
HTTP front and the script share the cores, where offline the engine has them alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hindsight.problems import load_problems
from hindsight.prompts import chat_messages
from hindsight.records import list_files, read_record
from hindsight.sampling import sample_seed
from hindsight.serving import serve

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "lab" / "models" / "instruct"
SAMPLES = 10
MAX_TOKENS = 512

OFFLINE = """
import json, sys, time
from vllm import LLM, SamplingParams
jobs = json.load(open(sys.argv[2]))
engine = LLM(sys.argv[1], enforce_eager=True, enable_chunked_prefill=False)
parameters = [SamplingParams(temperature=0.7, top_p=0.7, max_tokens=int(sys.argv[3]), seed=job["seed"]) for job in jobs]
begun = time.perf_counter()
outputs = engine.chat([job["messages"] for job in jobs], parameters, use_tqdm=False)
seconds = time.perf_counter() - begun
print(json.dumps([sum(len(output.outputs[0].token_ids) for output in outputs), seconds]))
"""


def served(folder: Path) -> float:
    """Tokens a second of the script."""
    with serve(MODEL, "lab-instruct") as server:
        flags = ["--base_url", server.url, "--num_samples", str(SAMPLES), "--max_tokens", str(MAX_TOKENS)]
        begun = time.perf_counter()
        command = [sys.executable, ROOT / "single_model_inference.py", "--output_dir", folder, *flags]
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - begun
    records = [read_record(path) for path in list_files(folder, "sample").values()]
    return sum(record["usage"]["completion_tokens"] for record in records) / seconds


def offline(folder: Path) -> float:
    """Tokens a second of `LLM.chat` on what the script sent."""
    jobs = [
        {"messages": chat_messages(problem), "seed": sample_seed(0, problem["question_id"], index)}
        for problem in load_problems("lab", "test")
        for index in range(SAMPLES)
    ]
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    command = [sys.executable, "-c", OFFLINE, MODEL, path, str(MAX_TOKENS)]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_LOGGING_LEVEL": "ERROR"}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
    tokens, seconds = json.loads(result.stdout.strip().splitlines()[-1])
    return tokens / seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, engine = served(Path(folder) / "run"), offline(Path(folder))
    print("sampling: completion tokens a second, the lab's instruct model")
    print(f"  LLM.chat, offline          {engine:7.0f}")
    print(f"  single_model_inference.py  {ours:7.0f}")
    print(f"  ratio                      {ours / engine:7.2f}")


if __name__ == "__main__":
    main()
