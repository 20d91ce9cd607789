"""Whether a checkpoint can come from a base: the cosine of their weights, from a sample that is quick to read.

Fine-tuning moves weights a little; long further training moves them more, but their direction remains (Zeng et al.,
"HuRef", NeurIPS 2024, section 3.1). Two models from different random starts have no direction in common: the cosine of
two independent vectors of n elements is 0, give or take 1 / sqrt(n). docs/merging.md has the measurements.

Norms, embeddings and heads are ignored: weights around 1, and those of rare tokens, are alike in unrelated models.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hindsight.errors import require
from hindsight.merging.adapters import AdaptedCheckpoint
from hindsight.merging.alphas import layer_of, word_of
from hindsight.merging.arithmetic import Comparison, compare
from hindsight.merging.plan import MergePlan, TensorPair
from hindsight.merging.report import combine, relative_distance
from hindsight.merging.safetensors_files import TensorReader

SAMPLED_MATRICES = 64  # of a checkpoint, spread over its layers
SAMPLED_ELEMENTS = 1 << 18  # of a matrix, from its middle: at most 2 * 64 MB are read in all, half in 16 bits
FEWEST_ELEMENTS = 1 << 12  # in all; fewer are not conclusive
UNRELATED = 0.1  # median cosine over the layers; all known fine-tunes are above


@dataclass(frozen=True)
class Kinship:
    """The comparison of two checkpoints' sampled matrices, layer by layer, and the number of elements compared."""

    by_layer: dict[int, Comparison]
    elements: int

    @property
    def cosine(self) -> float | None:
        """The median over the layers; None if the sample is too small, or has a NaN or only zeros."""
        cosines = [comparison.cosine for comparison in self.by_layer.values() if not comparison.broken]
        known = [cosine for cosine in cosines if cosine == cosine]
        return statistics.median(known) if known and self.elements >= FEWEST_ELEMENTS else None

    @property
    def distance(self) -> float:
        """The median over the layers of |finetuned - base| / |base|; about sqrt(2) for unrelated models."""
        return statistics.median(map(relative_distance, self.by_layer.values()))

    @property
    def is_unrelated(self) -> bool:
        """Whether the two are farther apart than any fine-tune."""
        return self.cosine is not None and self.cosine < UNRELATED


def measure_kinship(pairs: Sequence[TensorPair]) -> Kinship:
    """Compares a sample of the matrices in the layers of two checkpoints."""
    sample = choose_sample(pairs)
    by_layer: dict[int, list[Comparison]] = {}
    elements = 0
    with TensorReader() as reader:
        for pair in sample:
            count = min(pair.shared, SAMPLED_ELEMENTS)
            first = (pair.shared - count) // 2
            base, finetuned = (reader.read_elements(each, first, count) for each in (pair.base, pair.finetuned))
            by_layer.setdefault(layer_of(pair.name) or 0, []).append(compare(base, finetuned))
            elements += count
    return Kinship({layer: combine(by_layer[layer]) for layer in sorted(by_layer)}, elements)


def choose_sample(pairs: Sequence[TensorPair]) -> list[TensorPair]:
    """At most SAMPLED_MATRICES matrices (or stacks of them), evenly spread over the layers."""
    matrices = [
        pair
        for pair in pairs
        if pair.averaged and len(pair.leading.shape) > 1 and layer_of(pair.name) is not None
        and word_of(pair.name) not in ("norms", "embeddings", "head")
    ]  # fmt: skip
    matrices.sort(key=lambda pair: (layer_of(pair.name), pair.name))
    step = max(1.0, len(matrices) / SAMPLED_MATRICES)
    return [matrices[int(number * step)] for number in range(min(len(matrices), SAMPLED_MATRICES))]


def check_kinship(plan: MergePlan, allow_unrelated: bool = False) -> list[str]:
    """A sentence, if two models are farther apart than any fine-tune. Raises UserError with it unless allowed."""
    if isinstance(plan.finetuned, AdaptedCheckpoint):
        return []  # an adapter is its base with a change, so it is near
    kinship = measure_kinship(plan.pairs)
    if not kinship.is_unrelated:
        return []
    apart = f"{plan.finetuned.name} is farther from {plan.base.name} than any fine-tune"
    figures = f"median cosine of their weights {kinship.cosine:.3f}, below {UNRELATED}; distance {kinship.distance:.2f}"
    sentence = f"{apart} ({figures} of the base's norm)"
    require(allow_unrelated, f"{sentence}: give the base that it was trained from, or ALLOW_UNRELATED to merge anyway")
    return [sentence]
