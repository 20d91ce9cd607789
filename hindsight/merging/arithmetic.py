"""Merging two tensors: how far apart they are, the two weights, the weighted sum.

LERP is the line `merged = (1 - alpha) * base + alpha * finetuned`: alpha 0 is the base, 1 the fine-tuned model
(Veselovsky et al., "Hindsight Merging", UAI 2025). SLERP is the arc between the two, with each tensor taken as one
long vector (Shoemake 1985, "Animating Rotation with Quaternion Curves"). Both are weighted sums,

    merged = w0 * base + w1 * finetuned

computed in float32 (float64 if an input is float64). Each product and the sum are rounded to nearest even, and the
result is rounded to the output's dtype. A product is never fused with the sum. LERP therefore gives the same bits on
every machine, and both methods give the same bits with any number of threads and any sharding. (mergekit's `linear`
uses a fused multiply-add on processors that have one: after rounding to bfloat16 about 5 numbers in 100,000 differ in
the last bit, and no others.) Tensors are processed in blocks whose float32 copies fit in the processor's cache.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

METHODS = ("lerp", "slerp")
BLOCK = 1 << 18  # elements processed at once
PIECE = 1 << 22  # elements that one thread processes, a multiple of BLOCK
ROW = 1 << 12  # elements per dot product, few enough for BLAS to use one thread
SMALLEST_SINE = 1e-4  # near 180 degrees, a smaller sine would leave the weights fewer digits than float32 has


@dataclass(frozen=True)
class Comparison:
    """Distance, angle and norms of two tensors of one shape, from three float64 sums over their elements.

    With d = finetuned - base, `base_square` is the sum of base², `cross` of base * d, `square` of d². All other figures
    follow from these without cancellation, even for nearly equal tensors, for which the usual formula of the cosine
    loses all digits of the angle.
    """

    base_square: float
    cross: float
    square: float

    @property
    def base_norm(self) -> float:
        """The Euclidean (Frobenius) norm of the base's tensor."""
        return math.sqrt(self.base_square)

    @property
    def finetuned_norm(self) -> float:
        """The norm of the fine-tuned tensor."""
        return self.norm(0.0, 1.0)

    @property
    def distance(self) -> float:
        """The norm of the difference."""
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
        """The cosine of the angle; nan if one tensor is zero."""
        return math.cos(self.angle)

    @property
    def has_arc(self) -> bool:
        """Whether SLERP's weights are defined, and accurate to float32's digits.

        SLERP takes the line if a tensor is zero, if both have the same direction (the arc's limit is the line), or if
        they have opposite directions (no arc is the shortest). Small angles need no such exception:
        sin(alpha t) / sin(t) keeps its digits down to the smallest t.
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

    def norm(self, w0: float, w1: float) -> float:
        """The norm of w0 * base + w1 * finetuned."""
        return math.sqrt(max(0.0, self._norm_square(w0, w1)))

    def _norm_square(self, w0: float, w1: float) -> float:
        both = w0 + w1
        return both**2 * self.base_square + 2 * both * w1 * self.cross + w1**2 * self.square


@dataclass
class ComparisonSums:
    """The three sums of a `Comparison` while a tensor is read: one number per block, added exactly at the end."""

    base_squares: list[float] = field(default_factory=list)
    crosses: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)

    def add(self, base: np.ndarray, difference: np.ndarray) -> None:
        """Adds a one-dimensional float64 block."""
        self.base_squares.append(_dot(base, base))
        self.crosses.append(_dot(base, difference))
        self.squares.append(_dot(difference, difference))

    def extend(self, other: "ComparisonSums") -> None:
        """Adds the sums of other blocks."""
        self.base_squares += other.base_squares
        self.crosses += other.crosses
        self.squares += other.squares

    def compare(self) -> Comparison:
        """The comparison. `math.fsum` rounds once, so the order of the blocks does not matter."""
        return Comparison(*(_exact_sum(each) for each in (self.base_squares, self.crosses, self.squares)))


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    whole = len(one) - len(one) % ROW
    rows = np.vecdot(one[:whole].reshape(-1, ROW), other[:whole].reshape(-1, ROW))
    return float(rows.sum() + np.vecdot(one[whole:], other[whole:]))


def _exact_sum(numbers: list[float]) -> float:
    return math.fsum(numbers) if all(map(math.isfinite, numbers)) else math.nan


def compare(base: torch.Tensor, finetuned: torch.Tensor, run: Callable = map) -> Comparison:
    """Compares two floating-point tensors of the same shape and any dtypes. Raises ValueError if the shapes differ.

    `run` is `map`, or the `map` of a thread pool.
    """
    _require_same_shape(base, finetuned)
    sums = ComparisonSums()
    for part in run(comparison_sums, base.flatten().split(PIECE), finetuned.flatten().split(PIECE)):
        sums.extend(part)
    return sums.compare()


def comparison_sums(base: torch.Tensor, finetuned: torch.Tensor) -> ComparisonSums:
    """The sums over two one-dimensional tensors of the same length."""
    sums, room = ComparisonSums(), torch.empty(2, min(BLOCK, len(base)), dtype=torch.float64)
    with np.errstate(all="ignore"):  # a NaN or an infinity is found later, in the sums
        for base_block, finetuned_block in zip(base.split(BLOCK), finetuned.split(BLOCK), strict=True):
            one, difference = room[:, : len(base_block)]
            one.copy_(base_block)
            difference.copy_(finetuned_block).sub_(one)
            sums.add(one.numpy(), difference.numpy())
    return sums


def weighted_sums(
    base: torch.Tensor,
    finetuned: torch.Tensor,
    weights: Sequence[tuple[float, float]],
    outputs: Sequence[torch.Tensor],
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
            if output.dtype == exact and w0 + w1 == 1:  # a narrower dtype rounds the last bit of the sum away
                merged = torch.where(one == other, one, merged)
            output[block].copy_(merged)


def merge_tensors(
    base: torch.Tensor, finetuned: torch.Tensor, alpha: float, method: str = "lerp", run: Callable = map
) -> torch.Tensor:
    """Merges two tensors of the same shape by "lerp" or "slerp"; the result has the fine-tuned tensor's dtype.

    Alpha 0 and 1 give the inputs back, bit for bit if they have the same dtype. Tensors that are not floating point
    (positions, counts) must be equal. `run` is `map`, or the `map` of a thread pool. Raises ValueError if the shapes
    differ, or an input has a NaN or an infinity.
    """
    _require_same_shape(base, finetuned)
    if not (base.is_floating_point() and finetuned.is_floating_point()):
        if not torch.equal(base, finetuned):
            raise ValueError(f"tensors of {base.dtype} and {finetuned.dtype} differ and cannot be averaged")
        return finetuned.clone()
    comparison = compare(base, finetuned, run)
    if comparison.broken:
        raise ValueError(f"the {comparison.broken} tensor has a NaN or an infinity")
    merged = torch.empty(finetuned.shape, dtype=finetuned.dtype)
    weights = [comparison.weights(alpha, method)]
    pieces = (tensor.flatten().split(PIECE) for tensor in (base, finetuned, merged))
    for _ in run(lambda one, other, output: weighted_sums(one, other, weights, [output]), *pieces):
        pass
    return merged


def _require_same_shape(base: torch.Tensor, finetuned: torch.Tensor) -> None:
    if base.shape != finetuned.shape:
        raise ValueError(f"shapes {list(base.shape)} and {list(finetuned.shape)} differ")
