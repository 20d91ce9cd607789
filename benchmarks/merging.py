"""Compares time and memory of `merge_models.py` and `mergekit-yaml`, on two generated checkpoints of 2 GB each.

The checkpoints have the shape of a Llama with 1 billion parameters, in bfloat16, in shards of 500 MB. Its embedding has
525 MB, more than the merge holds in memory at once. The fine-tuned weights differ from the base's by 4 %. Each run is a
separate process; its time includes its start, and its output is deleted before the next run. A copy of one checkpoint
with `cp` shows the least possible time. The programs take turns, and the figures are medians. mergekit merges one alpha
per run, so a sweep over four alphas is compared with four of its runs.

    python -m benchmarks.merging            # 2 GB, three rounds: ten minutes, 14 GB of disk
    python -m benchmarks.merging 50 1       # 50 MB, one round
"""

import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import run_benchmark

ROOT = Path(__file__).resolve().parents[1]
MEGABYTES = 2000
ROUNDS = 3
SHARD = 500_000_000
ALPHA, SWEEP = 0.7, (0.3, 0.5, 0.7, 0.9)
SHAPE = {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 12,
         "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": True}  # fmt: skip
SMALL = {"vocab_size": 8192, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4,
         "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": True}  # fmt: skip


def make_pair(folder: Path, config: dict) -> None:
    """Writes a base checkpoint with its weights drawn at random, and a fine-tuned one that differs from it by 4 %.

    Runs in a separate process: a child starts as a copy of its parent, so this memory would count as the programs'.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_default_dtype(torch.bfloat16)
    model = LlamaForCausalLM(LlamaConfig(**config))
    model.save_pretrained(folder / "base", max_shard_size=SHARD)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.0008 * torch.randn_like(weights)
    model.save_pretrained(folder / "finetuned", max_shard_size=SHARD)


def run(*command: object) -> tuple[float, float]:
    """Runs a command; its seconds and its peak memory in MiB."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        assert process.returncode == 0, errors.read().decode(errors="replace")[-2000:]
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def ours(output: Path, base: Path, finetuned: Path, method: str, *alphas: float) -> tuple[float, float]:
    """Seconds and peak memory of `merge_models.py`."""
    flags = ["--base_model", base, "--finetuned_model", finetuned, "--output_dir", output, "--method", method]
    return run(sys.executable, "merge_models.py", *flags, "--max_shard_gb", SHARD / 1e9, "--alphas", *alphas)


def mergekit(output: Path, base: Path, finetuned: Path, method: str) -> tuple[float, float]:
    """Seconds and peak memory of `mergekit-yaml` with its own defaults."""
    config = {"dtype": "bfloat16", "merge_method": method}
    if method == "slerp":
        models: list[dict] = [{"model": str(base)}, {"model": str(finetuned)}]
        config |= {"base_model": str(base), "parameters": {"t": ALPHA}}
    else:
        models = [{"model": str(base), "parameters": {"weight": 1 - ALPHA}}]
        models += [{"model": str(finetuned), "parameters": {"weight": ALPHA}}]
    output.mkdir()
    (output / "config.yml").write_text(json.dumps(config | {"models": models}))
    program = Path(sys.executable).with_name("mergekit-yaml")
    return run(program, output / "config.yml", output / "merged", "--no-copy-tokenizer", "--quiet")


def main(megabytes: int = MEGABYTES, rounds: int = ROUNDS) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place), Path(place) / "output"
        base, finetuned = folder / "base", folder / "finetuned"
        maker = multiprocessing.get_context("spawn").Process(
            target=make_pair, args=(folder, SHAPE if megabytes >= 1000 else SMALL)
        )
        maker.start()
        maker.join()
        size = sum(path.stat().st_size for path in base.iterdir()) / 1e9
        runs = {
            "copy of one, cp": lambda: run("cp", "-r", base, output),
            "mergekit linear": lambda: mergekit(output, base, finetuned, "linear"),
            "lerp": lambda: ours(output, base, finetuned, "lerp", ALPHA),
            "mergekit slerp": lambda: mergekit(output, base, finetuned, "slerp"),
            "slerp": lambda: ours(output, base, finetuned, "slerp", ALPHA),
            "lerp, four alphas": lambda: ours(output, base, finetuned, "lerp", *SWEEP),
            "slerp, four alphas": lambda: ours(output, base, finetuned, "slerp", *SWEEP),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, timed in runs.items():
                os.sync()  # so that this run does not wait for the last one's files
                found[name].append(timed())
                shutil.rmtree(output)
    seconds = {name: statistics.median(each[0] for each in figures) for name, figures in found.items()}
    against = {
        "lerp": ("mergekit linear", 1), "slerp": ("mergekit slerp", 1),
        "lerp, four alphas": ("mergekit linear", 4), "slerp, four alphas": ("mergekit slerp", 4),
    }  # fmt: skip
    print(f"merging: two checkpoints of {size:.2f} GB, medians of {rounds}")
    for name, figures in found.items():
        other, times = against.get(name, ("", 0))
        ratio = f"   {seconds[name] / (times * seconds[other]):.2f} of {times} x {other}" if other else ""
        print(f"  {name:20s} {seconds[name]:6.1f} s   peak {max(each[1] for each in figures):5.0f} MiB{ratio}")


if __name__ == "__main__":
    run_benchmark(main)
