"""What of two checkpoints is merged with what: each tensor's partner, and what is refused.

The *leading* model is the one whose config and tokenizer the merged model gets, the fine-tuned one unless told
otherwise: its dtypes and its vocabulary's length are the output's. Differences that are usual between a model and its
fine-tune are settled here, each with a sentence for people in `notes`; all others raise UserError and name the tensor.
"""

from dataclasses import dataclass
from typing import Any

import torch

from hindsight.errors import UserError
from hindsight.merging.checkpoints import Checkpoint, StoredTensor, vocabulary

HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"
RECOMPUTED = "rotary_emb.inv_freq"  # in old checkpoints; every library computes it from the config
SHOWN = 5  # tokens and settings that a sentence names
CONFIG_IS_ABOUT_FILES = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "vocab_size"}


@dataclass(frozen=True)
class Pair:
    """A tensor of the merged model: its first `shared` elements are merged, the rest is the leading model's."""

    name: str
    base: StoredTensor
    finetuned: StoredTensor
    leading: StoredTensor
    shared: int

    @property
    def averaged(self) -> bool:
        """Whether it is merged; what is not floating point (positions, counts) must be equal and is copied."""
        return self.base.dtype.is_floating_point and self.finetuned.dtype.is_floating_point

    @property
    def computed_in(self) -> torch.dtype:
        """float32, or float64 where an input is."""
        return torch.float64 if torch.float64 in (self.base.dtype, self.finetuned.dtype) else torch.float32


@dataclass(frozen=True)
class MergePlan:
    """The pairs in the order of the leading model's files, the output's config, and what people should know."""

    base: Checkpoint
    finetuned: Checkpoint
    leading: Checkpoint
    pairs: list[Pair]
    config: dict[str, Any]
    notes: list[str]


def plan_merge(base: Checkpoint, finetuned: Checkpoint, config_from: str = "finetuned") -> MergePlan:
    """Pairs the tensors of two checkpoints. Raises UserError, naming the tensor and both shapes, where it cannot."""
    leading = {"base": base, "finetuned": finetuned}[config_from]
    _require_one_architecture(base, finetuned)
    notes = _config_notes(base, finetuned) + _token_notes(base, finetuned)
    in_base, in_finetuned, config, head_notes = _settle_heads(base, finetuned, leading)
    dropped = _drop_recomputed(in_base, in_finetuned)
    _require_same_names(base, in_base, finetuned, in_finetuned)
    _require_same_names(finetuned, in_finetuned, base, in_base)
    in_leading = in_base if leading is base else in_finetuned
    pairs = []
    for name, tensor in in_leading.items():
        shared, note = _shared_elements(name, base, in_base[name], finetuned, in_finetuned[name], leading)
        pairs.append(Pair(name, in_base[name], in_finetuned[name], tensor, shared))
        notes += note
    notes += head_notes + dropped + _dtype_notes(pairs, leading)
    return MergePlan(base, finetuned, leading, pairs, config, notes)


def _require_one_architecture(base: Checkpoint, finetuned: Checkpoint) -> None:
    for checkpoint in (base, finetuned):
        quantised = checkpoint.setting("quantization_config")
        if quantised:
            how = quantised.get("quant_method", "by its config")
            raise UserError(f"{checkpoint.name} is quantised ({how}); merge the model it was made of")
    for key in ("model_type", "architectures"):
        one, other = base.config.get(key), finetuned.config.get(key)
        if one and other and one != other:
            raise UserError(f"{base.name} and {finetuned.name} are of other architectures: {key} {one} and {other}")


def _require_same_names(one: Checkpoint, there: dict, other: Checkpoint, here: dict) -> None:
    missing = sorted(here.keys() - there.keys())
    if missing:
        shape = list(here[missing[0]].shape)
        raise UserError(f"{one.name} lacks {len(missing)} tensors of {other.name}, the first is {missing[0]} {shape}")


def _settle_heads(
    base: Checkpoint, finetuned: Checkpoint, leading: Checkpoint
) -> tuple[dict[str, StoredTensor], dict[str, StoredTensor], dict[str, Any], list[str]]:
    """The tensors of both where one has a head of its own and the other's is its embedding: that counts as its head."""
    tensors, config = [dict(base.tensors), dict(finetuned.tensors)], dict(leading.config)
    heads = [next((name for name in each if name.endswith(HEAD)), None) for each in tensors]
    if (heads[0] is None) == (heads[1] is None):
        return *tensors, config, []
    tied, with_head = (0, 1) if heads[0] is None else (1, 0)
    models, head = (base, finetuned), heads[with_head]
    embedding = next((name for name in tensors[tied] if name.endswith(EMBEDDING)), None)
    if embedding is None or models[tied].setting("tie_word_embeddings") is False:
        return *tensors, config, []  # not tied, but missing: said with the other missing tensors
    if models[with_head].setting("tie_word_embeddings"):
        del tensors[with_head][head]
        return *tensors, config, [f"{models[with_head].name} stores {head}, which its config ties: left out"]
    if embedding not in tensors[with_head]:
        return *tensors, config, []
    tensors[tied][head] = tensors[tied][embedding]
    config["tie_word_embeddings"] = False
    if "tie_word_embeddings" in config.get("text_config", {}):
        config["text_config"] = {**config["text_config"], "tie_word_embeddings": False}
    note = f"{models[tied].name} uses its embedding as its head, {models[with_head].name} has {head}: "
    return *tensors, config, [note + "merged with each other; the merged model has a head of its own"]


def _drop_recomputed(in_base: dict[str, StoredTensor], in_finetuned: dict[str, StoredTensor]) -> list[str]:
    """Leaves out what only one has and every library computes anew."""
    names = [name for name in in_base.keys() ^ in_finetuned.keys() if name.endswith(RECOMPUTED)]
    for name in names:
        in_base.pop(name, None)
        in_finetuned.pop(name, None)
    return [f"{len(names)} tensors {RECOMPUTED}, which one model has alone, are left out"] if names else []


def _shared_elements(
    name: str, base: Checkpoint, one: StoredTensor, finetuned: Checkpoint, other: StoredTensor, leading: Checkpoint
) -> tuple[int, list[str]]:
    """How many elements of a tensor both have: all, or where a vocabulary is longer than the other's its rows."""
    if one.shape == other.shape:
        return one.elements, []
    lengths = base.setting("vocab_size"), finetuned.setting("vocab_size")
    by_token = one.shape[:1] == lengths[:1] and other.shape[:1] == lengths[1:] and one.shape[1:] == other.shape[1:]
    if not by_token:
        shapes = f"{list(one.shape)} in {base.name} and {list(other.shape)} in {finetuned.name}"
        raise UserError(f"{name} is {shapes}: they cannot be merged")
    rows = min(lengths)
    own = (one if leading is base else other).shape[0]
    rest = f"its other {own - rows} rows are {leading.name}'s" if own > rows else f"it has {leading.name}'s {own} rows"
    shared = min(one.elements, other.elements)
    return shared, [f"{name} has {lengths[0]} and {lengths[1]} rows: {rows} are merged, {rest}"]


def _config_notes(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    """Settings that a merged model has of one parent only, as the weights do not show them (rope_theta, ...)."""
    keys = sorted((base.config.keys() | finetuned.config.keys()) - CONFIG_IS_ABOUT_FILES)
    differing = [
        f"{key} {base.config.get(key)!r} and {finetuned.config.get(key)!r}"
        for key in keys
        if base.config.get(key) != finetuned.config.get(key)
    ]
    more = f" and {len(differing) - SHOWN} more" * (len(differing) > SHOWN)
    return [f"the configs differ: {'; '.join(differing[:SHOWN])}{more}"] if differing else []


def _token_notes(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    """Which tokens the vocabularies do not share. Raises UserError where most rows stand for other tokens."""
    one, other = vocabulary(base.folder), vocabulary(finetuned.folder)
    if one is None or other is None:
        return ["the tokenizers were not compared: no tokenizer.json in one of the folders"]
    both = one.keys() & other.keys()
    renamed = [index for index in sorted(both) if one[index] != other[index]]
    if 2 * len(renamed) > len(both):
        count = f"{len(renamed)} of {len(both)} tokens"
        raise UserError(f"{base.name} and {finetuned.name} have other vocabularies ({count} differ): not merged")
    notes = []
    if renamed:
        shown = ", ".join(f"{index} {one[index]!r} and {other[index]!r}" for index in renamed[:SHOWN])
        notes.append(f"the tokenizers name {len(renamed)} tokens otherwise: {shown}{', ...' * (len(renamed) > SHOWN)}")
    for checkpoint, has, lacks in ((base, one, other), (finetuned, other, one)):
        own = sorted(has.keys() - lacks.keys())
        if own:
            shown = ", ".join(f"{index} {has[index]!r}" for index in own[:SHOWN])
            notes.append(f"{len(own)} tokens are {checkpoint.name}'s alone: {shown}{', ...' * (len(own) > SHOWN)}")
    return notes


def _dtype_notes(pairs: list[Pair], leading: Checkpoint) -> list[str]:
    """How many tensors are of two dtypes. Raises UserError where a float's partner is none."""
    for pair in pairs:
        if pair.base.dtype.is_floating_point != pair.finetuned.dtype.is_floating_point:
            dtypes = f"{pair.base.dtype_name} and {pair.finetuned.dtype_name}"
            raise UserError(f"{pair.name} is {dtypes}: they cannot be merged")
    differing = [pair for pair in pairs if pair.base.dtype != pair.finetuned.dtype]
    if not differing:
        return []
    first = differing[0]
    dtypes = f"{first.base.dtype_name} and {first.finetuned.dtype_name}"
    return [f"{len(differing)} tensors are {dtypes} in base and fine-tuned model; merged, they are as {leading.name}'s"]
