"""Tensors of a model with an adapter, computed while they are read: the adapted model is never stored.

The rounding is that of peft's `merge_and_unload`: B A is one matrix product in float32 (float64 for a base in float64),
then multiplied by the scale, then added to the base. peft then rounds the sum to the base's dtype. Here it stays in
float32, so that a merge in bfloat16 rounds once, at its end, at any alpha.
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
        """Equal blocks, since a processor's matrix product gives different bits for a block of a few rows."""
        blocks = -(-self.elements // BLOCK_ELEMENTS)
        return -(-self.shape[0] // blocks)

    def block(self, reader: TensorReader, first: int) -> torch.Tensor:
        origin, rows = reader.read_rows(self.origin, first, self.block_rows), slice(first, first + self.block_rows)
        if self.transposed:  # blocks of columns would have different bits from the whole product
            delta, share = reader.keep(self, lambda: self._whole_delta(reader))
            total = delta.T[rows] + origin
            return total if share is None else share.view(1, -1) * total
        total = self._product(reader, reader.read_rows(self.b, first, self.block_rows)).add_(origin)
        if self.magnitude is None:
            return total
        share = self._read(reader, self.magnitude)[rows] / torch.linalg.norm(total, dim=1)
        return total.mul_(share.view(-1, 1))

    def _whole_delta(self, reader: TensorReader) -> tuple[torch.Tensor, torch.Tensor | None]:
        """scale * B A, and for DoRA the factor of each of its rows."""
        delta = self._product(reader, reader.read_whole(self.b))
        if self.magnitude is None:
            return delta, None
        norm = torch.linalg.norm(reader.read_whole(self.origin).T + delta, dim=1)
        return delta, self._read(reader, self.magnitude) / norm

    def _product(self, reader: TensorReader, b: torch.Tensor) -> torch.Tensor:
        return (b.to(self.dtype) @ self._read(reader, self.a)).mul_(self.scale)

    def _read(self, reader: TensorReader, stored: StoredTensor) -> torch.Tensor:
        return reader.read_whole(stored).to(self.dtype)


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
