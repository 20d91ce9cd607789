"""An answer's embedding, from the file that analysis/embed.py writes beside the converted answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import BrokenFile
from hindsight.files.records import read_record


def read_embedding(converted: Path, kind: str = "converted") -> np.ndarray | None:
    """An embedding of a converted answer by kind, [dimensions]; None for the "code" of an answer without a program.

    `kind` is "generated", "converted" or "code". Raises BrokenFile if there is no such embedding, if the answer's text
    has changed since, or if the embedding is not a list of finite numbers, of which one is not 0.
    """
    path = converted.with_name(f"{converted.stem}_with_embeddings.json")
    key, source = f"{kind}_embedding", "generated_text" if kind == "generated" else "converted_text"
    record = read_record(path, (key,))
    if source in record and converted.exists() and record[source] != read_record(converted).get(source):
        raise BrokenFile(f"{path} is of an earlier {source} of the answer")
    return None if record[key] is None else _vector(path, key, record)


def _vector(path: Path, key: str, record: Mapping[str, Any]) -> np.ndarray:
    try:
        vector = np.array(record[key], dtype=np.float64)
    except (ValueError, TypeError):
        vector = np.empty(0)
    if vector.ndim != 1 or not np.isfinite(vector).all() or not vector.any():
        raise BrokenFile(f"{path}: {key} is not a list of finite numbers, of which one is not 0")
    return vector
