"""Checkpoints of a few thousand parameters, made for one test, and their merges."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
import transformers
from safetensors.torch import load_file, save_file

from hindsight.merging import report
from hindsight.merging.merge import MergeOptions, merge_checkpoints

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}
# The classes by name, since transformers loads them when they are asked for, which takes seconds
FAMILIES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", {"tie_word_embeddings": False}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", {"tie_word_embeddings": True}),
    "gemma": ("Gemma3TextConfig", "Gemma3ForCausalLM", {"tie_word_embeddings": True}),
}


def classes_of(family):
    """A family's class of configs, class of models, and settings."""
    config, model, own = FAMILIES[family]
    return getattr(transformers, config), getattr(transformers, model), own


def make(folder, family="llama", seed=0, dtype=torch.bfloat16, shard_size=None, moved=None, **changes):
    """A checkpoint; with `moved`, a few per cent away from the checkpoint in that folder, like a fine-tuned model."""
    config, model, own = classes_of(family)
    torch.manual_seed(seed)
    made = model(config(**{**SIZES, **own, **changes}))
    if moved:
        before = model.from_pretrained(moved, dtype=torch.float32).state_dict()
        made.load_state_dict({name: before[name] + 0.03 * new for name, new in made.state_dict().items()})
    made.to(dtype).save_pretrained(folder, **({"max_shard_size": shard_size} if shard_size else {}))
    return folder


def pair(folder, family="llama", base_shards=None, finetuned_shards="20KB", **changes):
    """(base, fine-tuned), each with its own sharding."""
    base = make(folder / "base", family, 0, shard_size=base_shards, **changes)
    return base, make(folder / "finetuned", family, 1, shard_size=finetuned_shards, moved=base, **changes)


def state(folder):
    """A checkpoint's tensors."""
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def save(folder, tensors, **config):
    """A checkpoint with these tensors in one file, and a config."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    return folder


def merge_into(base, finetuned, folder, alphas, method="lerp", *, say=lambda sentence: None, picture=False, **options):
    """Merges two checkpoints, whether related or not, into `folder`, and returns the merged ones' folders."""
    options = MergeOptions(alphas, method, **{"allow_unrelated": True, **options})
    with nullcontext() if picture else without_picture():
        return merge_checkpoints(base, finetuned, folder, options, say=say)


def without_picture():
    """Leaves the report's picture empty, since drawing it takes longer than most merges of a test."""
    empty = SimpleNamespace(savefig=lambda path, **_: Path(path).touch())
    return mock.patch.object(report, "draw_distances", lambda distances: empty)
