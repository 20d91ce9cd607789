"""Merging two tensors: how far apart they are, the two weights, the weighted sum.

LERP is the line `merged = (1 - alpha) * base + alpha * finetuned` (Veselovsky et al., "Hindsight Merging", UAI 2025).
SLERP is the arc between the two, with each tensor taken as one long vector (Shoemake 1985, "Animating Rotation with
Quaternion Curves"). Both are weighted sums `w0 * base + w1 * finetuned`, computed in float32 (float64 if an input is
float64). Each product and the sum are rounded to nearest even, never fused, and the result is rounded to the output's
dtype. LERP therefore gives the same bits on every machine, and both methods give the same with any threads and shards.
(mergekit's `linear` fuses on processors that can: in bfloat16 about 5 numbers in 100,000 differ in the last bit.)
Tensors are processed in blocks whose float32 copies fit in the processor's cache.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

METHODS = ("lerp", "slerp")
BLOCK = 1 << 18  # elements processed at once
PIECE = 1 << 22  # elements that one thread processes, a multiple of BLOCK
ROW = 1 << 12  # elements per dot product, few enough for BLAS to use one thread
SMALLEST_SINE = 1e-4  # near 180 degrees, a smaller sine would leave the weights fewer digits than float32 has

BlockSums = tuple[float, float, float]  # base_square, cross and square of a `Comparison`


@dataclass(frozen=True)
class Comparison:
    """Distance, angle and norms of two tensors of one shape, from three float64 sums over their elements.

    With d = finetuned - base, `base_square` is the sum of base², `cross` of base * d, `square` of d². All other figures
    follow without cancellation, even for nearly equal tensors, where the usual formula of the cosine loses all digits.
    """

    base_square: float
    cross: float
    square: float

    @classmethod
    def total(cls, parts: Iterable[BlockSums]) -> "Comparison":
        """The comparison of a whole from its parts; `math.fsum` rounds once, so their order does not matter."""
        columns = list(zip(*parts, strict=True)) or [(), (), ()]
        return cls(*(math.fsum(column) if all(map(math.isfinite, column)) else math.nan for column in columns))

    @property
    def base_norm(self) -> float:
        """Euclidean (Frobenius), as are all norms here."""
        return math.sqrt(self.base_square)

    @property
    def finetuned_norm(self) -> float:
        return self.norm(0.0, 1.0)

    @property
    def distance(self) -> float:
        return math.sqrt(self.square)

    @property
    def angle(self) -> float:
        """The angle between the two as vectors, in radians, 0 to pi; nan if one is zero.

        2 asin(|u - v| / 2) for the unit vectors u and v, with |u - v|² = (d² - (|finetuned| - |base|)²) / (|base|
        |finetuned|); for obtuse angles the same with u + v (after Kahan 2006, "How Futile are Mindless Assessments of
        Roundoff in Floating-Point Computation?", section 12).
        """
        one, other = self.base_norm, self.finetuned_norm
        if one == 0 or other == 0:
            return math.nan
        longer = (2 * self.cross + self.square) / (one + other)  # |finetuned| - |base|
        apart = max(0.0, self.square - longer**2) / (one * other)  # |u - v|²
        if apart <= 2:
            return 2 * math.asin(min(1.0, math.sqrt(apart) / 2))
        together = max(0.0, self._norm_square(1.0, 1.0) - longer**2) / (one * other)  # |u + v|²
        return math.pi - 2 * math.asin(min(1.0, math.sqrt(together) / 2))

    @property
    def cosine(self) -> float:
        return math.cos(self.angle)

    @property
    def has_arc(self) -> bool:
        """Whether SLERP's weights are defined, and accurate to float32's digits; otherwise SLERP takes the line.

        There is no arc if a tensor is zero or both have the same or opposite directions. Small angles need no
        exception: sin(alpha t) / sin(t) keeps its digits down to the smallest t.
        """
        angle = self.angle
        return angle > 0 and (angle < 1 or math.sin(angle) > SMALLEST_SINE)

    @property
    def broken(self) -> str | None:
        """ "base" or "finetuned" if that tensor has a NaN or an infinity, else None."""
        if not math.isfinite(self.base_square):
            return "base"
        return None if math.isfinite(self.square) else "finetuned"

    def weights(self, alpha: float, method: str) -> tuple[float, float]:
        """The factors (w0, w1) of the base and the fine-tuned tensor."""
        if method == "lerp" or not self.has_arc:
            return 1 - alpha, alpha
        angle = self.angle
        return math.sin((1 - alpha) * angle) / math.sin(angle), math.sin(alpha * angle) / math.sin(angle)

    def fits(self, weights: Sequence[tuple[float, float]], dtype: torch.dtype) -> bool:
        """Whether these weighted sums surely stay in the range of the dtype: no number exceeds its tensor's norm."""
        largest = max(((abs(w0) + abs(w1)) * self.base_norm + abs(w1) * self.distance for w0, w1 in weights), default=0)
        return largest <= torch.finfo(dtype).max

    def norm(self, w0: float, w1: float) -> float:
        """The norm of w0 * base + w1 * finetuned."""
        return math.sqrt(max(0.0, self._norm_square(w0, w1)))

    def _norm_square(self, w0: float, w1: float) -> float:
        both = w0 + w1
        return both**2 * self.base_square + 2 * both * w1 * self.cross + w1**2 * self.square


def compare(base: torch.Tensor, finetuned: torch.Tensor, run: Callable = map) -> Comparison:
    """Compares two floating-point tensors of the same shape and any dtypes. Raises ValueError if the shapes differ.

    `run` is `map`, or the `map` of a thread pool.
    """
    _require_same_shape(base, finetuned)
    parts = run(comparison_sums, base.flatten().split(PIECE), finetuned.flatten().split(PIECE))
    return Comparison.total(itertools.chain.from_iterable(parts))


def comparison_sums(base: torch.Tensor, finetuned: torch.Tensor) -> list[BlockSums]:
    """The three sums of a `Comparison`, for each block of two one-dimensional tensors of the same length."""
    sums, room = [], torch.empty(2, min(BLOCK, len(base)), dtype=torch.float64)
    with np.errstate(all="ignore"):  # a NaN or an infinity is found later, in the sums
        for base_block, finetuned_block in zip(base.split(BLOCK), finetuned.split(BLOCK), strict=True):
            one, difference = room[:, : len(base_block)]
            one.copy_(base_block)
            difference.copy_(finetuned_block).sub_(one)
            before, change = one.numpy(), difference.numpy()
            sums.append((_dot(before, before), _dot(before, change), _dot(change, change)))
    return sums


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    whole = len(one) - len(one) % ROW
    rows = np.vecdot(one[:whole].reshape(-1, ROW), other[:whole].reshape(-1, ROW))
    return float(rows.sum() + np.vecdot(one[whole:], other[whole:]))


def weighted_sums(
    base: torch.Tensor, finetuned: torch.Tensor, weights: Sequence[tuple[float, float]], outputs: Sequence[torch.Tensor]
) -> None:
    """Writes w0 * base + w1 * finetuned into one output per weight pair.

    All tensors are one-dimensional and have the same length. The weights (1, 0) and (0, 1) give that input back, bit
    for bit if the dtypes are the same. On the line, a number that is the same in both inputs does not change.
    """
    exact = torch.float64 if torch.float64 in (base.dtype, finetuned.dtype) else torch.float32
    room = torch.empty(4, min(BLOCK, len(base)), dtype=exact)
    for begin in range(0, len(base), BLOCK):
        block = slice(begin, begin + BLOCK)
        one, other, merged, product = room[:, : len(base[block])]
        one.copy_(base[block])
        other.copy_(finetuned[block])
        for (w0, w1), output in zip(weights, outputs, strict=True):
            if (w0, w1) in ((1, 0), (0, 1)):
                output[block].copy_(base[block] if w0 else finetuned[block])
                continue
            torch.mul(one, w0, out=merged).add_(torch.mul(other, w1, out=product))
            if output.dtype == exact and w0 + w1 == 1:  # in a narrower dtype, rounding hides the last bit
                merged = torch.where(one == other, one, merged)
            output[block].copy_(merged)


def largest_sum(base: torch.Tensor, finetuned: torch.Tensor, weights: tuple[float, float]) -> float:
    """The largest absolute value of w0 * base + w1 * finetuned, computed in float64."""
    return float((weights[0] * base.double() + weights[1] * finetuned.double()).abs().max())


def beyond_range(value: float, dtype: torch.dtype) -> str:
    """The end of a sentence about a merged tensor whose largest value does not fit into its dtype."""
    name, limit = str(dtype).removeprefix("torch."), torch.finfo(dtype).max
    return f"reaches {value:.6g}, and {name} ends at {limit:.6g}"


def merge_tensors(
    base: torch.Tensor,
    finetuned: torch.Tensor,
    alpha: float,
    method: str = "lerp",
    run: Callable = map,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Merges two tensors of the same shape by "lerp" or "slerp"; the result has that dtype, or the fine-tuned tensor's.

    Alpha 0 and 1 give the inputs back, bit for bit if they have the same dtype. Tensors that are not floating point
    (positions, counts) must be equal. `run` is `map`, or the `map` of a thread pool. Raises ValueError if the shapes
    differ, an input has a NaN or an infinity, or a merged number leaves the dtype's range.
    """
    _require_same_shape(base, finetuned)
    if not (base.is_floating_point() and finetuned.is_floating_point()):
        if not torch.equal(base, finetuned):
            raise ValueError(f"tensors of {base.dtype} and {finetuned.dtype} differ and cannot be averaged")
        return finetuned.clone()
    comparison = compare(base, finetuned, run)
    if comparison.broken:
        raise ValueError(f"the {comparison.broken} tensor has a NaN or an infinity")
    merged = torch.empty(finetuned.shape, dtype=dtype or finetuned.dtype)
    weights = [comparison.weights(alpha, method)]
    pieces = (tensor.flatten().split(PIECE) for tensor in (base, finetuned, merged))
    for _ in run(lambda one, other, output: weighted_sums(one, other, weights, [output]), *pieces):
        pass
    if not comparison.fits(weights, merged.dtype) and not merged.isfinite().all():
        raise ValueError(f"the merged tensor {beyond_range(largest_sum(base, finetuned, weights[0]), merged.dtype)}")
    return merged


def _require_same_shape(base: torch.Tensor, finetuned: torch.Tensor) -> None:
    if base.shape != finetuned.shape:
        raise ValueError(f"shapes {list(base.shape)} and {list(finetuned.shape)} differ")
