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

ROOT = Path(__file__).resolve().parents[1]
MEGABYTES = 2000
ROUNDS = 3
SHARD = 500e6
ALPHA, SWEEP = 0.7, (0.3, 0.5, 0.7, 0.9)
SHAPE = {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 12,
         "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": True}  # fmt: skip
SMALL = {"vocab_size": 8192, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4,
         "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": True}  # fmt: skip


def shapes(config: dict) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a Llama whose head is tied to its embedding."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    found = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        of_layer = {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in of_layer.items()}
    return found | {"model.norm.weight": (hidden,)}


def make_pair(folder: Path, config: dict) -> None:
    """Writes a base checkpoint of normally distributed weights, and a fine-tuned one that differs from it by 4 %.

    Runs in a separate process: a child starts as a copy of its parent, so this memory would count as the programs'.
    """
    import torch
    from transformers import LlamaConfig

    from hindsight.merging.safetensors_files import header_bytes

    folders = folder / "base", folder / "finetuned"
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    for name, shape in shapes(config).items():
        if sum(2 * torch.Size(each).numel() for each in shards[-1].values()) > SHARD * 0.9:
            shards.append({})
        shards[-1][name] = shape
    for target in folders:
        target.mkdir()
        LlamaConfig(**config, architectures=["LlamaForCausalLM"], dtype="bfloat16").save_pretrained(target)
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, _ = header_bytes({name: (torch.bfloat16, shape) for name, shape in shard.items()})
        with (folders[0] / file).open("wb") as base, (folders[1] / file).open("wb") as finetuned:
            base.write(header)
            finetuned.write(header)
            for shape in shard.values():
                before = torch.randn(shape) * 0.02
                after = before + torch.randn(shape) * 0.0008
                base.write(before.bfloat16().view(torch.uint8).numpy().data)
                finetuned.write(after.bfloat16().view(torch.uint8).numpy().data)
        weight_map |= dict.fromkeys(shard, file)
    for target in folders:
        (target / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


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
    main(*map(int, sys.argv[1:]))
