"""Which tensors of two checkpoints are merged with each other, and which checkpoints cannot be merged.

The merged model gets config, tokenizer, dtypes and vocabulary length of the *leading* model, by default the fine-tuned
one. Differences that are common between a model and its fine-tune are resolved here, each reported by a sentence in
`notes`. All other differences raise UserError, which names the tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.merging.checkpoints import Checkpoint, open_checkpoint, vocabulary
from hindsight.merging.safetensors_files import StoredTensor

HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"
RECOMPUTED = "rotary_emb.inv_freq"  # stored in old checkpoints; every library computes it from the config
EXAMPLES = 5  # tokens and settings named in one sentence
IGNORED_SETTINGS = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "vocab_size"}


@dataclass(frozen=True)
class TensorPair:
    """A tensor of the merged model: its first `shared` elements are merged, the others are the leading model's."""

    name: str
    base: StoredTensor
    finetuned: StoredTensor
    leading: StoredTensor
    shared: int

    @property
    def averaged(self) -> bool:
        """Whether it is merged; a tensor that is not floating point (positions, counts) is copied if both are equal."""
        return self.base.dtype.is_floating_point and self.finetuned.dtype.is_floating_point


@dataclass(frozen=True)
class MergePlan:
    """The pairs in the order of the leading model's files, the config of the merged model, notes for the user."""

    base: Checkpoint
    finetuned: Checkpoint
    leading: Checkpoint
    pairs: list[TensorPair]
    config: dict[str, Any]
    notes: list[str]


def plan_merge(
    base_name: str | Path, finetuned_name: str | Path, config_from: str = "finetuned", cache: str | None = None
) -> MergePlan:
    """Pairs the tensors of two checkpoints, each a folder or a Hub name (downloaded into `cache`, or the usual one).

    Raises UserError, with the tensor and both shapes, if they cannot be merged.
    """
    base, finetuned = open_checkpoint(base_name, cache), open_checkpoint(finetuned_name, cache)
    _require_one_architecture(base, finetuned)
    notes = _config_notes(base, finetuned) + _token_notes(base, finetuned)
    sides, untied, head_notes = _resolve_heads(base, finetuned)
    sides, dropped_notes = _drop_recomputed(*sides)
    _require_same_names(*sides)
    lead = ("base", "finetuned").index(config_from)
    leading = (base, finetuned)[lead]
    pairs = []
    for name in sides[lead].tensors:
        pair, note = _pair(name, sides, lead)
        pairs.append(pair)
        notes += note
    notes += head_notes + dropped_notes + _dtype_notes(pairs, leading)
    config = _with_own_head(leading.config) if untied else dict(leading.config)
    return MergePlan(base, finetuned, leading, pairs, config, notes)


Sides = tuple[Checkpoint, Checkpoint]  # base and fine-tuned checkpoint, with the tensors to be merged


def _require_one_architecture(base: Checkpoint, finetuned: Checkpoint) -> None:
    for checkpoint in (base, finetuned):
        quantised = checkpoint.setting("quantization_config")
        if quantised:
            how = quantised.get("quant_method", "by its config")
            raise UserError(f"{checkpoint.name} is quantised ({how}); merge the model that it was made from")
    for key in ("model_type", "architectures"):
        one, other = base.config.get(key), finetuned.config.get(key)
        if one and other and one != other:
            raise UserError(f"{base.name} and {finetuned.name} have different architectures: {key} {one} and {other}")


def _require_same_names(base: Checkpoint, finetuned: Checkpoint) -> None:
    for one, other in ((base, finetuned), (finetuned, base)):
        missing = sorted(other.tensors.keys() - one.tensors.keys())
        if missing:
            first = f"the first is {missing[0]} {list(other.tensors[missing[0]].shape)}"
            raise UserError(f"{one.name} lacks {len(missing)} tensors of {other.name}, {first}")


def _resolve_heads(base: Checkpoint, finetuned: Checkpoint) -> tuple[Sides, bool, list[str]]:
    """If one model has a head and the other uses its embedding as its head, makes that embedding the other's head.

    Returns both checkpoints, whether the merged model has a head of its own although one parent ties it, and notes.
    """
    sides = [base, finetuned]
    heads = [next((name for name in each.tensors if name.endswith(HEAD)), None) for each in sides]
    nothing = (base, finetuned), False, []
    if (heads[0] is None) == (heads[1] is None):
        return nothing
    tied, untied = (0, 1) if heads[0] is None else (1, 0)
    head, without, owner = str(heads[untied]), sides[tied], sides[untied]
    embedding = next((name for name in without.tensors if name.endswith(EMBEDDING)), None)
    if embedding is None or without.setting("tie_word_embeddings") is False:
        return nothing  # not tied but missing, and reported with the other missing tensors
    if owner.setting("tie_word_embeddings"):
        rest = {name: tensor for name, tensor in owner.tensors.items() if name != head}
        sides[untied] = replace(owner, tensors=rest)
        return (sides[0], sides[1]), False, [f"{owner.name} stores {head}, which its config ties: left out"]
    if embedding not in owner.tensors:
        return nothing
    sides[tied] = replace(without, tensors={**without.tensors, head: without.tensors[embedding]})
    note = f"{without.name} uses its embedding as its head, {owner.name} has {head}: "
    return (sides[0], sides[1]), True, [note + "merged with each other; the merged model has a head of its own"]


def _with_own_head(config: dict[str, Any]) -> dict[str, Any]:
    untied = {**config, "tie_word_embeddings": False}
    if "tie_word_embeddings" in config.get("text_config", {}):
        untied["text_config"] = {**config["text_config"], "tie_word_embeddings": False}
    return untied


def _drop_recomputed(base: Checkpoint, finetuned: Checkpoint) -> tuple[Sides, list[str]]:
    """Leaves out tensors that only one model stores and that every library recomputes."""
    names = {name for name in base.tensors.keys() ^ finetuned.tensors.keys() if name.endswith(RECOMPUTED)}
    if not names:
        return (base, finetuned), []
    kept = [
        replace(side, tensors={name: tensor for name, tensor in side.tensors.items() if name not in names})
        for side in (base, finetuned)
    ]
    return (kept[0], kept[1]), [f"{len(names)} tensors {RECOMPUTED}, which only one model stores, are left out"]


def _pair(name: str, sides: Sides, lead: int) -> tuple[TensorPair, list[str]]:
    """A pair that shares all elements, or the rows of the shorter vocabulary; and a note about the latter.

    `lead` is the leading model's place in `sides`.
    """
    base, finetuned = sides
    one, other = base.tensors[name], finetuned.tensors[name]
    leading = (one, other)[lead]
    if one.shape == other.shape:
        return TensorPair(name, one, other, leading, one.elements), []
    lengths = base.setting("vocab_size"), finetuned.setting("vocab_size")
    by_token = one.shape[:1] == lengths[:1] and other.shape[:1] == lengths[1:] and one.shape[1:] == other.shape[1:]
    if not by_token:
        shapes = f"{list(one.shape)} in {base.name} and {list(other.shape)} in {finetuned.name}"
        raise UserError(f"{name} is {shapes}: they cannot be merged")
    rows, own, owner = min(lengths), leading.shape[0], sides[lead].name
    rest = f"its other {own - rows} rows are {owner}'s" if own > rows else f"it has {owner}'s {own} rows"
    note = f"{name} has {lengths[0]} and {lengths[1]} rows: {rows} are merged, {rest}"
    return TensorPair(name, one, other, leading, min(one.elements, other.elements)), [note]


def _config_notes(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    """Settings that differ (rope_theta, ...), since the merged model takes them from one parent."""
    keys = sorted((base.config.keys() | finetuned.config.keys()) - IGNORED_SETTINGS)
    differing = [
        f"{key} {base.config.get(key)!r} and {finetuned.config.get(key)!r}"
        for key in keys
        if base.config.get(key) != finetuned.config.get(key)
    ]
    more = f" and {len(differing) - EXAMPLES} more" * (len(differing) > EXAMPLES)
    return [f"the configs differ: {'; '.join(differing[:EXAMPLES])}{more}"] if differing else []


def _token_notes(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    """Tokens that the vocabularies do not share. Raises UserError if most rows stand for different tokens."""
    one, other = vocabulary(base.folder), vocabulary(finetuned.folder)
    if one is None or other is None:
        return ["the tokenizers were not compared: no tokenizer.json in one of the folders"]
    both = one.keys() & other.keys()
    renamed = [index for index in sorted(both) if one[index] != other[index]]
    count = f"{len(renamed)} of {len(both)} tokens differ"
    sentence = f"{base.name} and {finetuned.name} have different vocabularies ({count}): they cannot be merged"
    require(2 * len(renamed) <= len(both), sentence)
    notes = []
    if renamed:
        examples = _examples([f"{index} {one[index]!r} and {other[index]!r}" for index in renamed])
        notes.append(f"{len(renamed)} tokens have different names in the two tokenizers: {examples}")
    for checkpoint, has, lacks in ((base, one, other), (finetuned, other, one)):
        own = [f"{index} {has[index]!r}" for index in sorted(has.keys() - lacks.keys())]
        if own:
            notes.append(f"{len(own)} tokens exist only in {checkpoint.name}: {_examples(own)}")
    return notes


def _examples(items: Sequence[str]) -> str:
    return ", ".join(items[:EXAMPLES]) + ", ..." * (len(items) > EXAMPLES)


def _dtype_notes(pairs: list[TensorPair], leading: Checkpoint) -> list[str]:
    """How many tensors have two dtypes. Raises UserError if only one of them is floating point."""
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
