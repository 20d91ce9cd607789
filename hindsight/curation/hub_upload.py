"""Publishing a dataset on the Hugging Face Hub."""

from pathlib import Path

from hindsight.errors import UserError


def push_to_hub(repository: str, files: list[Path], card: Path) -> str:
    """Uploads the files, and the card as README.md, to a dataset of the Hub in one commit; returns its address.

    A new dataset is created as private. Raises UserError if the Hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    added = [CommitOperationAdd(path.name, str(path)) for path in files]
    added.append(CommitOperationAdd("README.md", str(card)))
    try:
        api = HfApi()
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        return str(api.create_commit(repository, added, repo_type="dataset", commit_message="convert_to_data.py"))
    except Exception as error:  # the Hub's client raises errors of several HTTP libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the dataset is written, but the Hub did not accept {repository}: {reason}") from None
