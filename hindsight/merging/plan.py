"""Which tensors of two checkpoints are merged with each other, and which checkpoints cannot be merged.

The merged model gets config, tokenizer, dtypes and vocabulary length of the *leading* model, by default the fine-tuned
one. Differences that are common between a model and its fine-tune are resolved here, and each is reported by a sentence
in `notes`. All other differences raise UserError, which names the tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.merging.adapted_checkpoint import adapt
from hindsight.merging.adapters import AdaptedCheckpoint, is_adapter, open_adapter
from hindsight.merging.checkpoints import (
    INDEX,
    SINGLE,
    Checkpoint,
    open_checkpoint,
    resolve_checkpoint,
    vocabulary,
    with_own_head,
)
from hindsight.merging.configs import compare_configs
from hindsight.merging.names import (
    HEADS,
    embedding_of,
    require_known_names,
    require_same_names,
    require_same_type,
    require_whole,
)
from hindsight.merging.safetensors_files import ComputedTensor, StoredTensor, TensorReader

ROTARY = (".inv_freq", ".cos_cached", ".sin_cached")
MASKS = ("attention.bias", "attn.bias", "attn.causal_mask")  # of GPT-NeoX, GPT-2 and GPT-J, CodeGen
MASKED = ("attention.masked_bias", "attn.masked_bias")  # what masked scores are set to
EXAMPLES = 5  # tokens named in one sentence


@dataclass(frozen=True)
class TensorPair:
    """A tensor of the merged model: its first `shared` elements are merged, the others are the leading model's."""

    name: str
    base: StoredTensor
    finetuned: StoredTensor
    leading: StoredTensor
    shared: int

    @property
    def other(self) -> StoredTensor:
        """The tensor of the parent that does not lead."""
        return self.base if self.leading is self.finetuned else self.finetuned

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
    base = open_checkpoint(base_name, cache)
    finetuned = _open_finetuned(base, finetuned_name, cache)
    require_same_type(base, finetuned)
    sides, untied, head_notes = _resolve_heads(base, finetuned)
    sides, dropped_notes = _drop_buffers(*sides)
    require_same_names(*sides)
    adapted = isinstance(finetuned, AdaptedCheckpoint)
    require_known_names(*(sides[:1] if adapted else sides))
    require_whole(sides[0])
    notes = finetuned.notes if isinstance(finetuned, AdaptedCheckpoint) else []
    notes = notes + _index_notes(base, finetuned) + compare_configs(base, finetuned) + _token_notes(base, finetuned)
    leading = (base, finetuned)[("base", "finetuned").index(config_from)]
    lead = 0 if adapted or leading is base else 1  # an adapter has no dtypes of its own
    pairs = []
    for name in sides[lead].tensors:
        pair, note = _pair(name, sides, lead)
        pairs.append(pair)
        notes += note
    notes += head_notes + dropped_notes + _dtype_notes(pairs, (base, finetuned)[lead])
    config = with_own_head(leading.config) if untied else dict(leading.config)
    return MergePlan(base, finetuned, leading, pairs, config, notes)


def _open_finetuned(base: Checkpoint, name: str | Path, cache: str | None) -> Checkpoint:
    """A checkpoint; or the base with an adapter, if the folder or the Hub's snapshot has one."""
    if not is_adapter(resolve_checkpoint(str(name), cache)):
        return open_checkpoint(name, cache)
    require_same_type(base, base)  # a quantised base has other shapes
    return adapt(base, open_adapter(name, cache))


def require_loadable(plan: MergePlan) -> None:
    """Raises UserError if vLLM, merging while it loads the fine-tuned model, would read other tensors than the plan.

    With an adapter it loads the base.
    """
    base, finetuned = plan.base, plan.finetuned
    if isinstance(finetuned, AdaptedCheckpoint):
        sentence = f"{finetuned.name} gives {base.name} a separate head: merge with merge_models.py"
        require(plan.config.get("tie_word_embeddings") == base.config.get("tie_word_embeddings"), sentence)
        finetuned = base
    if finetuned.ties_head and plan.config.get("tie_word_embeddings") is False:
        sentence = f"{base.name} has a separate head, {finetuned.name} ties it: merge with merge_models.py"
        raise UserError(sentence)
    if finetuned.old_index:
        index = finetuned.folder / INDEX
        raise UserError(f"{index} lists files that do not exist, and vLLM would look for them: delete it")


Sides = tuple[Checkpoint, Checkpoint]  # base and fine-tuned checkpoint, with the tensors to be merged


def _resolve_heads(base: Checkpoint, finetuned: Checkpoint) -> tuple[Sides, bool, list[str]]:
    """Leaves out a stored copy of a tied head. If only one model has a head, makes the other's embedding its head.

    Returns both checkpoints, whether the merged model has a head of its own although one parent ties it, and notes.
    """
    sides = [base, finetuned]
    heads = [next((name for name in each.tensors if name.endswith(HEADS)), None) for each in sides]
    if heads == [None, None]:
        return (base, finetuned), False, []
    ties = [head is None if (tied := each.ties_head) is None else tied for each, head in zip(sides, heads, strict=True)]
    for side, head, tied in zip(sides, heads, ties, strict=True):
        if head and tied:
            _require_copy(side, head)
    if None not in heads and ties[0] == ties[1]:
        return (base, finetuned), False, []
    if all(ties):
        stored = 0 if heads[0] else 1
        rest = {name: tensor for name, tensor in sides[stored].tensors.items() if name != heads[stored]}
        note = f"{sides[stored].name} stores {heads[stored]}, which its config ties: left out"
        sides[stored] = replace(sides[stored], tensors=rest)
        return (sides[0], sides[1]), False, [note]
    tied = 0 if ties[0] else 1
    head, without, owner = heads[1 - tied], sides[tied], sides[1 - tied]
    embedding = embedding_of(without)
    if not any(ties) or head is None or embedding is None:
        return (base, finetuned), False, []  # a head is missing, and reported with the other missing tensors
    sides[tied] = replace(without, tensors={**without.tensors, head: without.tensors[embedding]})
    note = f"{without.name} uses its embedding as its head, {owner.name} has {head}: "
    return (sides[0], sides[1]), True, [note + "merged with each other; the merged model has a head of its own"]


def _require_copy(checkpoint: Checkpoint, head: str) -> None:
    """Raises UserError if a tied head is not the embedding: transformers would use the one, vLLM the other."""
    embedding = embedding_of(checkpoint)
    if embedding is None:
        return
    pair = checkpoint.tensors[head], checkpoint.tensors[embedding]
    with TensorReader() as reader:
        same = (pair[0].dtype, pair[0].shape) == (pair[1].dtype, pair[1].shape)
        if same and reader.digest(pair[0]) == reader.digest(pair[1]):
            return
    ties = f"{checkpoint.name} ties its head to its embedding, by its config or its type's default"
    uses = f"but stores another {head}, which transformers uses and vLLM ignores"
    raise UserError(f"{ties}, {uses}; set tie_word_embeddings to false in its config.json if the stored head is meant")


def _drop_buffers(base: Checkpoint, finetuned: Checkpoint) -> tuple[Sides, list[str]]:
    """Leaves out buffers that old checkpoints store although every library computes them from the config."""
    found = {name for side in (base, finetuned) for name, tensor in side.tensors.items() if _is_buffer(name, tensor)}
    if not found:
        return (base, finetuned), []
    kept = [
        replace(side, tensors={name: tensor for name, tensor in side.tensors.items() if name not in found})
        for side in (base, finetuned)
    ]
    kinds = ", ".join(sorted({".".join(name.split(".")[-2:]) for name in found}))
    return (kept[0], kept[1]), [f"{len(found)} tensors that every library computes itself are left out: {kinds}"]


def _is_buffer(name: str, tensor: StoredTensor) -> bool:
    """Whether it is a rotary table, positions, or a causal mask; a bias of one row is learned."""
    if name.endswith(ROTARY) or (name.endswith(".position_ids") and not tensor.dtype.is_floating_point):
        return True
    return (name.endswith(MASKS) and _is_mask(tensor)) or (name.endswith(MASKED) and tensor.elements == 1)


def _is_mask(tensor: StoredTensor) -> bool:
    """Whether it is (1, 1, n, n), as in GPT-2, or is (n, n) or (1, n, n) and not floating point."""
    *ones, rows, columns = tensor.shape if len(tensor.shape) > 1 else (0, 1)
    square = rows == columns and set(ones) <= {1}
    return square and (len(ones) == 2 or not tensor.dtype.is_floating_point)


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


def _index_notes(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    return [
        f"{each.folder / INDEX} lists files that do not exist: {SINGLE} was read, as transformers does"
        for each in (base, finetuned)
        if each.old_index
    ]


def _token_notes(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    """Tokens that the vocabularies do not share. Raises UserError if most rows stand for different tokens."""
    if base.tokenizer_folder == finetuned.tokenizer_folder:
        return []
    one, other = vocabulary(base.tokenizer_folder), vocabulary(finetuned.tokenizer_folder)
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
    differing = [
        pair
        for pair in pairs
        if pair.base.dtype != pair.finetuned.dtype and not isinstance(pair.finetuned, ComputedTensor)
    ]
    if not differing:
        return []
    first = differing[0]
    dtypes = f"{first.base.dtype_name} and {first.finetuned.dtype_name}"
    return [f"{len(differing)} tensors are {dtypes} in base and fine-tuned model; merged, they are as {leading.name}'s"]
