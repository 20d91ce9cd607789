"""The unbiased estimator of pass@k (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1)."""

from collections.abc import Iterable

import numpy as np


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k samples, drawn without replacement from n of which c are correct, is correct.

    1 - C(n - c, k) / C(n, k), as a product of factors in [0, 1], so nothing overflows at any n.
    Raises ValueError unless 0 <= c <= n and 1 <= k <= n: with fewer than k samples there is no unbiased estimate.
    """
    if not 0 <= c <= n:
        raise ValueError(f"{c} correct of {n} samples")
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples, there are {n}")
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def mean_pass_at_k(counts: Iterable[tuple[int, int]], k: int) -> float:
    """The mean of pass@k over problems; `counts` holds (samples, correct samples) of each, each with its own n."""
    return float(np.mean([pass_at_k(n, c, k) for n, c in counts]))
