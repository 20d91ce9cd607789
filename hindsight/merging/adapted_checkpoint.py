"""What a LoRA adapter does to its base: which tensor changes, how, and what this means for a tied head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hindsight.errors import UserError, require
from hindsight.merging.adapted_tensors import LoraTensor, ShiftedBias, TrainedRows
from hindsight.merging.adapters import ADAPTER_WEIGHTS, ROWS, AdaptedCheckpoint, Adapter, AdapterKeys, read_keys
from hindsight.merging.checkpoints import ADAPTER_CONFIG, Checkpoint, with_own_head
from hindsight.merging.names import BODIES, EMBEDDINGS, HEADS, embedding_of
from hindsight.merging.safetensors_files import StoredTensor

EXAMPLES = 3  # names in one sentence


def adapt(base: Checkpoint, adapter: Adapter) -> AdaptedCheckpoint:
    """The base with an adapter. Raises UserError, with the tensor, if the adapter does not fit the base."""
    keys, tensors = read_keys(adapter), dict(base.tensors)
    untied = _prepare_head(base, adapter, keys, tensors)
    changes = Changes(base, adapter, tensors)
    for name, tensor in keys.whole.items():
        changes.replace(name, tensor, name in keys.repeated)
    for module, parts in keys.modules.items():
        changes.add(module, parts)
    changes.require_matched(keys)
    notes = _base_notes(base, adapter) + changes.notes()
    return AdaptedCheckpoint(
        name=adapter.name,
        folder=base.folder,
        config=with_own_head(base.config) if untied else base.config,
        tensors=tensors,
        base=base,
        adapter=adapter,
        notes=notes,
    )


def _prepare_head(base: Checkpoint, adapter: Adapter, keys: AdapterKeys, tensors: dict[str, StoredTensor]) -> bool:
    """If the base ties its head, and the adapter changes that or the embedding: whether they become two tensors.

    They stay one if the adapter was trained so (`ensure_weight_tying`), or if only rows of the embedding were trained,
    which peft then shares with the head. Otherwise each gets its own change, as in the model that was trained; peft's
    `merge_and_unload` adds both changes to the one tensor.
    """
    embedding = embedding_of(base)
    changed = [f"{module}.weight" for module in keys.modules] + list(keys.whole)
    heads = [name for name in changed if name.endswith(HEADS)]
    if embedding is None or not (heads or any(name.endswith(EMBEDDINGS) for name in changed)) or not base.ties_head:
        return False
    stored = next((name for name in tensors if name.endswith(HEADS)), None)
    only_rows = not heads and all(keys.trains_rows(name) for name in changed if name.endswith(EMBEDDINGS))
    if only_rows or (adapter.setting("ensure_weight_tying") and len(heads) < len(changed)):
        keys.drop(heads)
        tensors.pop(stored or "", None)
        return False
    usual = "embed_out.weight" if embedding.endswith("embed_in.weight") else "lm_head.weight"
    head = stored or next(iter(heads), usual)
    tensors[head] = base.tensors[embedding]
    return True


def _base_notes(base: Checkpoint, adapter: Adapter) -> list[str]:
    """Notes on a config that names another base: not refused, since folders move and QLoRA names a quantised copy."""
    named = adapter.setting("base_model_name_or_path", "")
    cached = f"models--{named.replace('/', '--')}"
    if not named or named == base.name or Path(named).resolve() == base.folder.resolve():
        return []
    if cached in base.folder.parts:
        return []
    return [f"{adapter.name} was trained on {named}, by its {ADAPTER_CONFIG}, and is merged with {base.name}"]


@dataclass
class Changes:
    """The base's tensors while an adapter's changes are made to them, and what was changed."""

    base: Checkpoint
    adapter: Adapter
    tensors: dict[str, StoredTensor]

    def __post_init__(self) -> None:
        self._ranks: dict[str, int] = {}
        self._whole: list[str] = []
        self._rows: dict[str, int] = {}
        self._unmatched: list[str] = []
        self._decomposed = False

    def replace(self, name: str, tensor: StoredTensor, repeated: bool) -> None:
        """A tensor that the adapter stores whole (`modules_to_save`, `bias`, the base of an embedding's LoRA)."""
        found = self._find(name)
        if found is None:
            return
        if self.tensors[found].shape != tensor.shape:
            raise UserError(self._other_shape(found, tensor.shape))
        self.tensors[found] = tensor
        if not repeated:
            self._whole.append(found)

    def add(self, module: str, parts: dict[str, StoredTensor]) -> None:
        """The change of one module, from its parts in the file, such as lora_A and lora_B."""
        name = self._find(f"{module}.weight")
        if name is None:
            return
        kind = "lora_embedding_" if "lora_embedding_A" in parts else "lora_"
        a, b = parts.get(f"{kind}A"), parts.get(f"{kind}B")
        if a and b:
            magnitude = parts.get("lora_magnitude_vector")
            self.tensors[name] = self._lora(name, module, (a, b), magnitude, kind == "lora_embedding_")
            self._ranks[name] = a.shape[0]
            self._decomposed |= magnitude is not None
        elif a or b or ROWS not in parts:
            lacks = f"{self.adapter.folder / ADAPTER_WEIGHTS} has {', '.join(sorted(parts))} of {module}"
            raise UserError(f"{lacks}, which is not all that a LoRA layer needs: save the adapter again")
        if shift := parts.get("lora_B.bias"):
            self._shift(module, shift)
        if rows := parts.get(ROWS):
            self.tensors[name] = self._trained_rows(name, module, rows)
            self._rows[name] = rows.shape[0]

    def _lora(
        self,
        name: str,
        module: str,
        factors: tuple[StoredTensor, StoredTensor],
        magnitude: StoredTensor | None,
        is_embedding: bool,
    ) -> LoraTensor:
        (a, b), origin, rank = factors, self.tensors[name], self.adapter.rank_of(module)
        if len(a.shape) != 2 or len(b.shape) != 2 or not a.shape[0] == b.shape[1] == rank:
            ranks = f"{list(b.shape)} times {list(a.shape)} in the file, rank {rank} by {ADAPTER_CONFIG}"
            raise UserError(f"{self.adapter.name} is broken: {module} has {ranks}")
        shape = b.shape[0], a.shape[1]
        square = shape[0] == shape[1]
        transposed = is_embedding or origin.shape != shape or (square and bool(self.adapter.setting("fan_in_fan_out")))
        if origin.shape != (shape[::-1] if transposed else shape):
            raise UserError(self._other_shape(name, shape))
        if magnitude and magnitude.shape != shape[:1]:
            raise UserError(f"{self.adapter.name} is broken: {module} has magnitudes of shape {list(magnitude.shape)}")
        scale = self.adapter.scale_of(module)
        return LoraTensor(**self._place(origin), a=a, b=b, scale=scale, transposed=transposed, magnitude=magnitude)

    def _shift(self, module: str, shift: StoredTensor) -> None:
        name = self._find(f"{module}.bias")
        lacks = f"{self.adapter.name} has a bias for {module} (lora_bias), which has none in {self.base.name}"
        require(name is not None, f"{lacks}: it cannot be merged")
        origin = self.tensors[str(name)]
        require(origin.shape == shift.shape, self._other_shape(str(name), shift.shape))
        scale = self.adapter.scale_of(module)
        self.tensors[str(name)] = ShiftedBias(**self._place(origin), shift=shift, scale=scale)

    def _trained_rows(self, name: str, module: str, rows: StoredTensor) -> TrainedRows:
        origin, indices = self.tensors[name], self.adapter.tokens_of(module)
        fits = rows.shape == (len(indices), *origin.shape[1:]) and all(0 <= i < origin.shape[0] for i in indices)
        listed = f"{len(indices)} trainable_token_indices for {list(rows.shape)} trained rows of {name}"
        require(fits, f"{self.adapter.name} has {listed} {list(origin.shape)} in {self.base.name}: they do not fit")
        return TrainedRows(**self._place(origin), rows=rows, indices=tuple(indices))

    def _place(self, origin: StoredTensor) -> dict:
        exact = torch.float64 if origin.dtype == torch.float64 else torch.float32
        file = self.adapter.folder / ADAPTER_WEIGHTS
        return {"file": file, "dtype": exact, "shape": origin.shape, "offset": 0, "origin": origin}

    def _find(self, name: str) -> str | None:
        """The base's tensor with this name: old checkpoints leave out the name of the body, which peft adds."""
        for body in ("", *BODIES):
            if name.startswith(body) and name.removeprefix(body) in self.tensors:
                return name.removeprefix(body)
        self._unmatched.append(name)
        return None

    def _other_shape(self, name: str, shape: Sequence[int]) -> str:
        own = list(self.tensors[name].shape)
        sentence = f"{self.adapter.name} is for {name} of shape {list(shape)}, and {self.base.name} has {own}"
        if name.endswith((*EMBEDDINGS, *HEADS)) and list(shape)[1:] == own[1:]:
            advice = "the vocabulary was resized, which is not in an adapter's config: merge it into its base first"
            return f"{sentence}: {advice} (peft's merge_and_unload) and give the merged model"
        return f"{sentence}: it was trained on another base"

    def require_matched(self, keys: AdapterKeys) -> None:
        """Raises UserError if the adapter has tensors for which the base has none."""
        names = sorted(keys.unknown + self._unmatched)
        if not names:
            return
        shown = f"{len(names)} tensors of {self.adapter.name} have no counterpart in {self.base.name}"
        shown += f": {', '.join(names[:EXAMPLES])}" + ", ..." * (len(names) > EXAMPLES)
        experts = self.adapter.setting("target_parameters")
        named = self.adapter.setting("base_model_name_or_path", "unknown")
        if experts:
            first = "merge it into its base first (peft's merge_and_unload) and give the merged model"
            raise UserError(f"{shown}; target_parameters {experts} of stacked experts are not supported: {first}")
        raise UserError(f"{shown}; it was trained on another base ({named}, by its {ADAPTER_CONFIG})")

    def notes(self) -> list[str]:
        """What the adapter is and changes."""
        ranks = sorted(set(self._ranks.values()))
        rank = (
            "" if not ranks else f" of rank {ranks[0]}" if len(ranks) == 1 else f" of ranks {ranks[0]} to {ranks[-1]}"
        )
        parts = [f"{len(self._ranks)} tensors get scale * B A"] if ranks else []
        parts += [f"{count} rows of {name} are its own" for name, count in self._rows.items()]
        if self._whole:
            more = ", ..." * (len(self._whole) > EXAMPLES)
            parts.append(f"{len(self._whole)} tensors are its own ({', '.join(self._whole[:EXAMPLES])}{more})")
        notes = [f"{self.adapter.name} is a LoRA adapter{rank}: {'; '.join(parts)}"]
        if self._decomposed:
            notes.append(f"{self.adapter.name} is weight-decomposed (DoRA): it is merged first, then averaged")
        return notes
