"""How far a fine-tuned checkpoint is from its base, layer by layer."""

import re
from collections import defaultdict
from pathlib import Path

from safetensors import safe_open

from hindsight.merging import tensor_files
from hindsight.settings import UserError

_LAYER = re.compile(r"\.layers\.(\d+)\.(\w+)")


def place_of(tensor: str) -> tuple[int | None, str]:
    """The layer of a tensor and its part there ("self_attn", "mlp"); without a layer (None), its own name's.

    >>> place_of("model.layers.3.mlp.up_proj.weight")
    (3, 'mlp')
    """
    found = _LAYER.search(tensor)
    if found:
        return int(found[1]), found[2]
    return None, tensor.removeprefix("model.").removesuffix(".weight")


def layer_distances(base: Path, finetuned: Path) -> dict[str, dict[int | None, float]]:
    """|finetuned - base| / |base| of each part by layer: the Frobenius norm over all tensors of the part together.

    Raises UserError when the checkpoints cannot be read or do not have the same tensors.
    """
    in_base, in_finetuned = tensor_files(base), tensor_files(finetuned)
    if in_base.keys() != in_finetuned.keys():
        raise UserError(f"{base} and {finetuned} do not have the same tensors")
    moved, size = defaultdict(float), defaultdict(float)
    for name in in_base:
        with safe_open(base / in_base[name], "pt") as one, safe_open(finetuned / in_finetuned[name], "pt") as other:
            before, after = one.get_tensor(name).float(), other.get_tensor(name).float()
        if before.shape != after.shape:
            raise UserError(f"{name} is {list(before.shape)} in {base} and {list(after.shape)} in {finetuned}")
        moved[place_of(name)] += float((after - before).square().sum())
        size[place_of(name)] += float(before.square().sum())
    distances: dict[str, dict[int | None, float]] = {}
    for (layer, part), squared in sorted(moved.items(), key=lambda item: (item[0][0] is not None, item[0])):
        distances.setdefault(part, {})[layer] = (squared / size[layer, part]) ** 0.5 if size[layer, part] else 0.0
    return distances
