"""Embeddings in a plane: their first principal components."""

import numpy as np


def principal_components(embeddings: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an [n, d] array on its first principal components, [n, count], and their shares of the variance.

    Pearson 1901, "On Lines and Planes of Closest Fit", by the singular value decomposition of the centred rows.
    """
    centred = embeddings - embeddings.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    variances = sizes**2
    shares = variances / variances.sum() if variances.sum() else variances
    return (left * sizes)[:, :count], shares[:count]


def joint_components(groups: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The first two principal components of all groups' rows together: [n, 2] per group, and the shares of variance."""
    points, shares = principal_components(np.concatenate(list(groups.values())))
    ends = np.cumsum([len(rows) for rows in groups.values()])
    return dict(zip(groups, np.split(points, ends[:-1]), strict=True)), shares
