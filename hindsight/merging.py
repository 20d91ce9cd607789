"""Merging a fine-tuned checkpoint part of the way back towards its base: tensors, and whole checkpoints.

`merged = (1 - alpha) * base + alpha * finetuned`: alpha 0 is the base, 1 the fine-tuned model (Veselovsky et al.,
"Hindsight Merging", UAI 2025). LERP is that line; SLERP the arc between the two tensors, each taken as one long
vector (Shoemake 1985, "Animating Rotation with Quaternion Curves").

Checkpoints are read and written as safetensors, a shard at a time; no model is built.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hindsight.records import write_json
from hindsight.settings import UserError

METHODS = ("lerp", "slerp")
MERGE_FILE = "merge.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5", ".onnx")


def merge_tensors(base: torch.Tensor, finetuned: torch.Tensor, alpha: float, method: str = "lerp") -> torch.Tensor:
    """The tensor at `alpha` between two of one shape, in the fine-tuned one's dtype.

    Computed in float32 and rounded once; alpha 0 and 1 give the inputs back bit for bit. Tensors that are not floating
    point (positions, counts) are taken from the fine-tuned model and must be equal. Raises ValueError for other shapes.
    """
    if base.shape != finetuned.shape:
        raise ValueError(f"shapes {list(base.shape)} and {list(finetuned.shape)} differ")
    if not finetuned.is_floating_point():
        if not torch.equal(base, finetuned):
            raise ValueError(f"tensors of {finetuned.dtype} differ and cannot be averaged")
        return finetuned
    if alpha == 1:
        return finetuned
    if alpha == 0:
        return base.to(finetuned.dtype)
    blend = slerp if method == "slerp" else lerp
    return blend(base.float(), finetuned.float(), alpha).to(finetuned.dtype)


def lerp(base: torch.Tensor, finetuned: torch.Tensor, alpha: float) -> torch.Tensor:
    """(1 - alpha) * base + alpha * finetuned."""
    return (1 - alpha) * base + alpha * finetuned


def slerp(base: torch.Tensor, finetuned: torch.Tensor, alpha: float) -> torch.Tensor:
    """sin((1 - alpha) t) / sin t * base + sin(alpha t) / sin t * finetuned, t the angle between the two as vectors.

    The angle is that of the directions, found in float64 as 2 atan2(|u - v|, |u + v|) for the unit vectors u and v
    (Kahan 2006, "How Futile are Mindless Assessments of Roundoff", section 12), which stays exact for the small
    angles between a model and its fine-tune. Where one tensor is zero or the angle is 0 or 180 degrees there is no
    arc, and LERP is taken.
    """
    one, other = base.flatten().double(), finetuned.flatten().double()
    lengths = one.norm(), other.norm()
    if min(lengths) == 0:
        return lerp(base, finetuned, alpha)
    u, v = one / lengths[0], other / lengths[1]
    angle = 2 * torch.atan2((u - v).norm(), (u + v).norm())
    sine = torch.sin(angle)
    if sine < 1e-12:
        return lerp(base, finetuned, alpha)
    merged = torch.sin((1 - alpha) * angle) / sine * one + torch.sin(alpha * angle) / sine * other
    return merged.reshape(base.shape).float()


def merge_checkpoints(base: Path, finetuned: Path, output: Path, alpha: float, method: str) -> Iterator[str]:
    """Writes the merged checkpoint to `output`; yields each tensor's name when it is merged.

    Both checkpoints are folders of safetensors. The output has the fine-tuned one's shards, config, tokenizer and chat
    template, and `merge.json` with what was merged. It is made in a folder beside and renamed when it is whole.
    Raises UserError when the two cannot be merged, naming the tensor, or when `output` is there.
    """
    if output.exists():
        raise UserError(f"{output} is there already; delete it or give another folder")
    where_base, where_finetuned = tensor_files(base), tensor_files(finetuned)
    _require_same_names(base, where_base, finetuned, where_finetuned)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _copy_companions(finetuned, partial)
    for shard in sorted(set(where_finetuned.values())):
        names = [name for name, file in where_finetuned.items() if file == shard]
        merged = {}
        with contextlib.ExitStack() as files:
            finetuned_file = files.enter_context(safe_open(finetuned / shard, framework="pt"))
            base_files = {
                file: files.enter_context(safe_open(base / file, framework="pt"))
                for file in {where_base[name] for name in names}
            }
            for name in names:
                pair = base_files[where_base[name]].get_tensor(name), finetuned_file.get_tensor(name)
                try:
                    merged[name] = merge_tensors(*pair, alpha, method).contiguous()
                except ValueError as error:
                    raise UserError(f"{base} and {finetuned} cannot be merged: {name}: {error}") from None
                yield name
        save_file(merged, partial / shard, metadata={"format": "pt"})
    write_json(partial / MERGE_FILE, {"base": str(base), "finetuned": str(finetuned), "alpha": alpha, "method": method})
    partial.rename(output)


def tensor_files(checkpoint: Path) -> dict[str, str]:
    """The file of each tensor of a checkpoint folder. Raises UserError when it has no readable safetensors."""
    if not checkpoint.is_dir():
        raise UserError(f"there is no checkpoint folder {checkpoint}")
    if (checkpoint / "adapter_config.json").exists():
        raise UserError(f"{checkpoint} is an adapter; merge it into its model first (peft's merge_and_unload)")
    index = checkpoint / INDEX
    try:
        if index.exists():
            return dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
        with safe_open(checkpoint / SINGLE, framework="pt") as file:
            return dict.fromkeys(file.keys(), SINGLE)
    except FileNotFoundError:
        raise UserError(f"{checkpoint} has neither {INDEX} nor {SINGLE}; save it as safetensors first") from None
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{checkpoint} cannot be read: {error}") from None


def resolve_checkpoint(name: str) -> Path:
    """A checkpoint's folder: as given, or the Hub's, downloaded. Raises UserError when there is neither."""
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise UserError(f"there is no checkpoint folder {name}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.bin", "*.pth", "*.gguf", "original/*"]))
    except Exception as error:  # the Hub's client lets the errors of several HTTP libraries through
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"there is no folder {name}, and the Hub's checkpoint cannot be loaded: {reason}") from None


def _require_same_names(base: Path, in_base: dict[str, str], finetuned: Path, in_finetuned: dict[str, str]) -> None:
    for one, there, other, here in ((base, in_base, finetuned, in_finetuned), (finetuned, in_finetuned, base, in_base)):
        missing = sorted(here.keys() - there.keys())
        if missing:
            raise UserError(f"{one} lacks {len(missing)} tensors of {other}, the first is {missing[0]}")


def _copy_companions(checkpoint: Path, output: Path) -> None:
    """Config, tokenizer, chat template, the index: every file of the folder that holds no weights."""
    for path in checkpoint.iterdir():
        if path.is_file() and path.suffix not in WEIGHTS and path.name != MERGE_FILE:
            shutil.copyfile(path, output / path.name)
