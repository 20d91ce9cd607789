"""The rows of a data set on the Hugging Face Hub."""

from typing import Any

from hindsight.errors import UserError

TACO = "BAAI/TACO"


def hub_rows(name: str, split: str, revision: str) -> tuple[Any, str]:
    """A memory-mapped data set on the Hub, and its revision. Raises UserError if it cannot be loaded.

    TACO still has a loading script, which `datasets` no longer runs, so this reads its data files: the training split
    from Parquet, the test split from the Arrow file, which was corrected later than the Parquet file.
    """
    import datasets
    from huggingface_hub import HfApi

    try:
        revision = HfApi().dataset_info(name, revision=revision or None, timeout=20).sha or ""
        if name != TACO:
            return datasets.load_dataset(name, split=split or "train", revision=revision), revision
        kind, files = {"test": ("arrow", "test/*.arrow")}.get(split, ("parquet", "ALL/train-*.parquet"))
        files = f"hf://datasets/{name}@{revision}/{files}"
        return datasets.load_dataset(kind, data_files=files, split="train"), revision
    except Exception as error:  # the Hub's client raises errors of several HTTP libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the Hub's data set {name} (split {split!r}) cannot be loaded: {reason}") from None
