"""Muon (Jordan et al., 2024), the optimizer of the lab's matrices, computed in the dtype of its parameters.

`torch.optim.Muon` multiplies in bfloat16, which processors without bfloat16 instructions emulate. On these, a step of
the lab's models takes seconds with it, and hundredths of a second with this module.
"""

import math
from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz iteration, as in the authors' code
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonalized momentum, as large as AdamW's (Liu et al., 2025, "match_rms_adamw")."""

    def __init__(self, matrices: Iterable[torch.Tensor], lr: float, weight_decay: float = 0.05, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for matrix in group["params"]:
                mean = self.state[matrix].setdefault("mean", torch.zeros_like(matrix))
                mean.lerp_(matrix.grad, 1 - group["momentum"])
                direction = orthogonal(matrix.grad.lerp(mean, group["momentum"]))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(direction, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with all singular values set to about one, by the Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
