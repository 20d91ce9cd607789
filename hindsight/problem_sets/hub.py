"""The rows and the files of a data set on the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hindsight.errors import UserError


def hub_rows(name: str, split: str, revision: str) -> tuple[Any, str]:
    """A memory-mapped data set on the Hub, and its revision. Raises UserError if it cannot be loaded."""
    import datasets
    from huggingface_hub import HfApi

    try:
        revision = HfApi().dataset_info(name, revision=revision or None, timeout=20).sha or ""
        return datasets.load_dataset(name, split=split or "train", revision=revision), revision
    except Exception as error:  # the Hub's client raises errors of several HTTP libraries
        raise UserError(f"the Hub's data set {name} (split {split!r}) cannot be loaded: {_reason(error)}") from None


def hub_files(name: str, patterns: Sequence[str], revision: str) -> tuple[list[Path], str]:
    """Files of a data set on the Hub, in the order of the patterns, and their revision.

    They are kept in the Hub's own cache, which also works without a network. Raises UserError if one is missing.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(name, repo_type="dataset", revision=revision or None, allow_patterns=list(patterns))
        )
    except Exception as error:  # the Hub's client raises errors of several HTTP libraries
        files = ", ".join(patterns)
        raise UserError(f"the Hub's data set {name} ({files}) cannot be loaded: {_reason(error)}") from None
    found = [sorted(folder.glob(pattern)) for pattern in patterns]
    missing = [pattern for pattern, files in zip(patterns, found, strict=True) if not files]
    if missing:
        raise UserError(f"the Hub's data set {name} has no file {missing[0]} here, and the Hub cannot be reached")
    return [path for files in found for path in files], folder.name


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".").removeprefix("Got: ")
