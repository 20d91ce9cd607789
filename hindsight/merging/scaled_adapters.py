"""A LoRA adapter at several alphas: one adapter per alpha, so that one vLLM server answers for all of them.

    base + alpha * scale * B A = base + B' A,  with B' = alpha * scale * B

The factor goes into B, in float32, and the new scale is 1, whatever the modules' ranks and scales are, so that every
reader of adapters computes the same. A folder is as large as the adapter: megabytes instead of a checkpoint's
gigabytes.
"""

import contextlib
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.records import read_record, write_bytes, write_json
from hindsight.merging.adapters import ADAPTER_WEIGHTS, ROWS, AdaptedCheckpoint, AdapterKeys, read_keys
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.checkpoints import ADAPTER_CONFIG, checkpoint_digest
from hindsight.merging.plan import plan_merge
from hindsight.merging.safetensors_files import StoredTensor, TensorReader, TensorWriter

SCALED_FILE = "scaled_adapter.json"
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank may be
FIRST_FACTORS, SECOND_FACTORS = ("lora_A", "lora_embedding_A"), ("lora_B", "lora_embedding_B")
EXAMPLES = 3  # names in one sentence

CARD = """---
base_model: {base}
library_name: peft
---

# {adapter}, at alpha {rule}

base + alpha * scale * B A by hindsight merging (Veselovsky et al., "Hindsight Merging", UAI 2025), as a LoRA adapter of
{base}: alpha and the adapter's own scale are in B. The adapter that it was made from: `{digest}`.
"""


def scale_adapter(
    base: str | Path,
    finetuned: str | Path,
    output_dir: str | Path,
    rules: Sequence[AlphaRule],
    say: Callable[[str], None] = lambda sentence: None,
) -> tuple[list[Path], str]:
    """Writes an adapter at each alpha into `output_dir/alpha_A`; returns the folders, and how vLLM serves them all.

    Folders that already hold the same are kept. Raises UserError for a fine-tuned model that is not a LoRA adapter of
    the base, or one that vLLM does not accept, and for a folder that holds something else.
    """
    plan = plan_merge(base, finetuned)
    adapted = plan.finetuned
    if not isinstance(adapted, AdaptedCheckpoint):
        raise UserError(f"AS_ADAPTERS needs a LoRA adapter, and {finetuned} is a whole model: merge it without")
    for note in plan.notes:
        say(f"note: {note}")
    keys = read_keys(adapted.adapter)
    _require_servable(adapted, keys, _copies(adapted, keys))
    for rule in rules:
        rule.require_used(pair.name for pair in plan.pairs)
    digest, folders = checkpoint_digest(adapted), []
    for rule in rules:
        made = {"adapter": adapted.name, "digest": digest, "base": plan.base.name, "alpha": rule.to_json()}
        folder = Path(output_dir) / rule.folder_name
        if _holds(folder, made):
            say(f"{folder} already exists")
        else:
            _write(folder, adapted, keys, rule, made)
        folders.append(folder)
    return folders, _command(adapted, keys, folders)


def _require_servable(adapted: AdaptedCheckpoint, keys: AdapterKeys, copies: set[str]) -> None:
    """Raises UserError, with the reason, for an adapter that is not linear in alpha or that vLLM does not load."""
    parts = {part for each in keys.modules.values() for part in each}
    whole = sorted(keys.whole.keys() - copies)
    first = ", ".join(whole[:EXAMPLES]) + ", ..." * (len(whole) > EXAMPLES)
    reasons = {
        "uses DoRA, which is not linear in alpha": "lora_magnitude_vector" in parts,
        f"has whole tensors ({first}), which vLLM's LoRA does not accept": bool(whole),
        "trains rows of the embedding, which vLLM's LoRA does not accept": ROWS in parts,
        "has biases (lora_bias), which vLLM's LoRA does not accept": "lora_B.bias" in parts,
        f"has rank {_largest_rank(keys)}, and vLLM's LoRA ends at {VLLM_RANKS[-1]}": _largest_rank(keys)
        > VLLM_RANKS[-1],
    }
    for reason, found in reasons.items():
        require(not found, f"{adapted.name} {reason}: merge it into checkpoints, without AS_ADAPTERS")


def _copies(adapted: AdaptedCheckpoint, keys: AdapterKeys) -> set[str]:
    """The tensors of the base that the adapter's file repeats, as peft does for embeddings with LoRA."""
    base = adapted.base.tensors
    with TensorReader() as reader:
        return {
            name
            for name, tensor in keys.whole.items()
            if name in base
            and (tensor.dtype, tensor.shape) == (base[name].dtype, base[name].shape)
            and reader.digest(tensor) == reader.digest(base[name])
        }


def _largest_rank(keys: AdapterKeys) -> int:
    return max(parts[name].shape[0] for parts in keys.modules.values() for name in FIRST_FACTORS if name in parts)


def _holds(folder: Path, made: dict[str, Any]) -> bool:
    """Whether a folder already holds this adapter. Raises UserError if it holds something else."""
    if not folder.exists():
        return False
    try:
        same = read_record(folder / SCALED_FILE) == made
    except (BrokenFile, FileNotFoundError):
        same = False
    require(same, f"{folder} exists and holds something else; choose another --output_dir")
    return True


def _write(folder: Path, adapted: AdaptedCheckpoint, keys: AdapterKeys, rule: AlphaRule, made: dict[str, Any]) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _write_weights(partial / ADAPTER_WEIGHTS, adapted, keys, rule)
    config, rank_pattern = adapted.adapter.config, adapted.adapter.setting("rank_pattern", {})
    unscaled = {"lora_alpha": adapted.adapter.setting("r", 8), "alpha_pattern": rank_pattern, "use_rslora": False}
    write_json(partial / ADAPTER_CONFIG, {**config, **unscaled, "inference_mode": True})
    write_bytes(partial / "README.md", CARD.format(**{**made, "rule": rule}).encode())
    write_json(partial / SCALED_FILE, made)
    partial.rename(folder)


def _write_weights(path: Path, adapted: AdaptedCheckpoint, keys: AdapterKeys, rule: AlphaRule) -> None:
    scales = {}  # of each B, by its place in the adapter's file
    for module, parts in keys.modules.items():
        scale = rule.alpha_of(f"{module}.weight") * adapted.adapter.scale_of(module)
        scales |= {id(parts[name]): scale for name in SECOND_FACTORS if name in parts}
    kept = {key: tensor for key, tensor in adapted.adapter.tensors.items() if ".base_layer." not in key}
    dtypes = {key: _scaled_dtype(tensor) if id(tensor) in scales else tensor.dtype for key, tensor in kept.items()}
    writer = TensorWriter(path, {key: (dtypes[key], tensor.shape) for key, tensor in kept.items()})
    with TensorReader() as reader, contextlib.closing(writer):
        for key, tensor in kept.items():
            factor = reader.read_whole(tensor).to(dtypes[key])
            scaled = factor * scales[id(tensor)] if id(tensor) in scales else factor
            writer.write(key, 0, scaled.flatten().view(torch.uint8).numpy().data)


def _scaled_dtype(tensor: StoredTensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _command(adapted: AdaptedCheckpoint, keys: AdapterKeys, folders: Sequence[Path]) -> str:
    rank = next(each for each in VLLM_RANKS if each >= _largest_rank(keys))
    tokenizer = f" --tokenizer {shlex.quote(str(adapted.tokenizer_folder))}" if adapted.own_tokenizer else ""
    modules = " ".join(shlex.quote(f"{folder.name}={folder}") for folder in folders)
    many = f"--max-loras {len(folders)} --max-lora-rank {rank}"
    return f"vllm serve {shlex.quote(adapted.base.name)}{tokenizer} --enable-lora {many} --lora-modules {modules}"
