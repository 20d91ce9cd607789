"""How similar embeddings are: cosine similarity and the Vendi score."""

import numpy as np
from scipy.special import entr  # -x log x, 0 at 0


def pairwise_similarities(embeddings: np.ndarray) -> np.ndarray:
    """The cosine similarity of every pair of different rows of an [n, d] array: [n (n - 1) / 2].

    Raises ValueError for a row of zeros.
    """
    units = unit_rows(embeddings)
    above_diagonal = np.triu_indices(len(units), k=1)
    return (units @ units.T)[above_diagonal]


def mean_similarity(embeddings: np.ndarray) -> float:
    """The mean of `pairwise_similarities`, without forming the pairs.

    The squared length of the sum of n unit vectors is n plus twice the sum over the pairs. Raises ValueError for fewer
    than two rows.
    """
    units = unit_rows(embeddings)
    count = len(units)
    if count < 2:
        raise ValueError(f"{count} rows make no pair")
    total = units.sum(axis=0)
    return float((total @ total - count) / (count * (count - 1)))


def similarities_over_all(problems: dict[int, np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The mean cosine of all pairs of answers when each problem p is drawn w_p times, [resamples].

    `problems` holds [answers, d] per problem, `weights` the w_p as [resamples, problems]. With n_p answers to p and S_p
    the sum of their unit vectors, the sum of the cosines is that of w_p w_q S_p.S_q over p != q plus that of
    w_p (|S_p|^2 - n_p) over p; the number of pairs is the same with n_p n_q and n_p (n_p - 1). A problem drawn twice
    counts twice but is not paired with its copy, since those pairs would include an answer with itself.
    """
    units = [unit_rows(rows) for rows in problems.values()]
    sums, counts = np.array([rows.sum(axis=0) for rows in units]), np.array([len(rows) for rows in units])
    squares = (sums**2).sum(axis=1)
    cosines = ((weights @ sums) ** 2).sum(axis=1) - weights**2 @ squares + weights @ (squares - counts)
    pairs = (weights @ counts) ** 2 - weights**2 @ counts**2 + weights @ (counts * (counts - 1))
    return cosines / pairs


def vendi_score(embeddings: np.ndarray) -> float:
    """The effective number of different rows of an [n, d] array, under the cosine kernel: from 1 to n.

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosines of all rows (Friedman and
    Dieng 2023, "The Vendi Score", TMLR, definition 3.1). They are the squared singular values of the unit rows over n,
    so none is negative. Raises ValueError for a row of zeros.
    """
    sizes = np.linalg.svd(unit_rows(embeddings), compute_uv=False)
    return float(np.exp(entr(sizes**2 / len(embeddings)).sum()))


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """The rows scaled to length 1, in float64. Raises ValueError for a row of zeros."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError("a row of zeros has no direction")
    return np.asarray(embeddings, dtype=np.float64) / lengths


def similarity_by_problem(problems: dict[int, np.ndarray]) -> np.ndarray:
    """`mean_similarity` of each problem with at least two answers; `problems` holds [answers, d] per problem."""
    return np.array([mean_similarity(rows) for rows in problems.values() if len(rows) > 1])


def similarity_over_all(problems: dict[int, np.ndarray], most: int = 2000, seed: int = 0) -> np.ndarray:
    """`pairwise_similarities` of the answers to all problems together, or of a random sample of `most` of them."""
    rows = np.concatenate(list(problems.values()))
    if len(rows) > most:
        rows = np.random.default_rng(seed).choice(rows, most, replace=False)
    return pairwise_similarities(rows)
