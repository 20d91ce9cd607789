"""Tensors of a model with an adapter, computed while they are read: nothing of the adapted model is ever stored.

The rounding is that of peft's `merge_and_unload`: B A is one matrix product in float32 (float64 for a base in float64),
then multiplied by the scale, then added to the base. peft next rounds the sum to the base's dtype. Here it stays in
float32, so that a merge in bfloat16 rounds once, at its end, whatever alpha is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hindsight.merging.safetensors_files import ComputedTensor, StoredTensor, TensorReader

BLOCK_ELEMENTS = 1 << 25  # elements of a block, 128 MiB in float32


@dataclass(frozen=True)
class LoraTensor(ComputedTensor):
    """origin + scale * B A (Hu et al. 2021, "LoRA"), with A of shape (rank, columns) and B of shape (rows, rank).

    `transposed`: the origin is stored as (columns, rows): GPT-2's layers and embeddings. `magnitude`, one number per
    row of B, makes it weight-decomposed (Liu et al. 2024, "DoRA"): each row of the sum is given that norm.
    """

    origin: StoredTensor
    a: StoredTensor
    b: StoredTensor
    scale: float
    transposed: bool = False
    magnitude: StoredTensor | None = None

    @property
    def block_rows(self) -> int:
        """All rows if it is transposed, since peft then computes the whole product; else equal blocks of rows.

        A processor's matrix product gives the same bits for blocks of rows, except for blocks of a few rows.
        """
        if self.transposed:
            return self.shape[0]
        blocks = -(-self.elements // BLOCK_ELEMENTS)
        return -(-self.shape[0] // blocks)

    def block(self, reader: TensorReader, first: int) -> torch.Tensor:
        origin = reader.read_rows(self.origin, first, self.block_rows)
        b = reader.read_whole(self.b) if self.transposed else reader.read_rows(self.b, first, self.block_rows)
        delta = (b.to(self.dtype) @ reader.read_whole(self.a).to(self.dtype)).mul_(self.scale)
        if self.magnitude is None:
            return (delta.T if self.transposed else delta).add_(origin)
        magnitude = reader.read_whole(self.magnitude).to(self.dtype)
        if self.transposed:
            norm = torch.linalg.norm(origin.T + delta, dim=1)
            return (magnitude / norm).view(1, -1) * (origin + delta.T)
        total = delta.add_(origin)
        share = magnitude[first : first + len(total)] / torch.linalg.norm(total, dim=1)
        return total.mul_(share.view(-1, 1))


@dataclass(frozen=True)
class ShiftedBias(ComputedTensor):
    """origin + scale * shift: the bias of a layer whose adapter has one (`lora_bias`)."""

    origin: StoredTensor
    shift: StoredTensor
    scale: float

    @property
    def block_rows(self) -> int:
        return self.shape[0]

    def block(self, reader: TensorReader, first: int) -> torch.Tensor:
        return reader.read_whole(self.shift).to(self.dtype).mul_(self.scale).add_(reader.read_whole(self.origin))


@dataclass(frozen=True)
class TrainedRows(ComputedTensor):
    """The origin, with some rows from another tensor: `rows[i]` is row `indices[i]` (`trainable_token_indices`)."""

    origin: StoredTensor
    rows: StoredTensor
    indices: Sequence[int]

    @property
    def block_rows(self) -> int:
        return max(1, BLOCK_ELEMENTS * self.shape[0] // self.elements)

    def block(self, reader: TensorReader, first: int) -> torch.Tensor:
        block, rows = reader.read_rows(self.origin, first, self.block_rows).to(self.dtype), reader.read_whole(self.rows)
        for index, row in zip(self.indices, rows, strict=True):
            if first <= index < first + len(block):
                block[index - first] = row
        return block
