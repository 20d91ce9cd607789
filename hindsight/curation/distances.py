"""How far apart the answers to a problem are: by embeddings where all have one, else by their programs' tokens."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hindsight.files import records
from hindsight.text.code_blocks import extract_code

GRAM = 3  # tokens of a program that are compared together
_TOKEN = re.compile(r"\w+|[^\w\s]")


def distances_within(paths: list[Path]) -> tuple[str, Callable[[int], np.ndarray]]:
    """A function that gives the distances of answer i to all, [n], from 0 to 2; before it, in words, what it measures.

    Embeddings: 1 less the cosine of those of `embed.py`, `converted_embedding`, if every answer has one beside it and
    all are of one length. Programs: the Jaccard distance of the sets of their 3-grams of tokens.
    """
    embeddings = _embeddings(paths)
    if embeddings is not None:
        return "by embedding", lambda i: 1 - embeddings @ embeddings[i]
    grams = [token_grams(records.read_record(path)["converted_text"]) for path in paths]
    return "by code tokens", lambda i: np.array([jaccard_distance(grams[i], other) for other in grams])


def token_grams(converted_text: str) -> set[tuple[str, ...]]:
    """The 3-grams of the tokens of an answer's program; of the whole text where it has none."""
    tokens = _TOKEN.findall(extract_code(converted_text) or converted_text)
    return {tuple(tokens[start : start + GRAM]) for start in range(max(1, len(tokens) - GRAM + 1))}


def jaccard_distance(one: set, other: set) -> float:
    """1 less the share of what is in both sets in what is in either."""
    both = len(one & other)
    return 1 - both / (len(one) + len(other) - both) if one or other else 0.0


def _embeddings(paths: list[Path]) -> np.ndarray | None:
    """Unit vectors, [n, dimensions]; None where an answer has no embedding, or one of another length."""
    vectors = []
    for path in paths:
        embedded = path.with_name(f"{path.stem}_with_embeddings.json")
        if not embedded.exists():
            return None
        vectors.append(records.read_record(embedded).get("converted_embedding"))
    if None in vectors or len({len(vector) for vector in vectors}) != 1:
        return None
    rows = np.array(vectors, dtype=float)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
