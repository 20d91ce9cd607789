"""Publishing a dataset on the Hugging Face Hub."""

from pathlib import Path

from hindsight.errors import UserError
from hindsight.servers.hub_repository import HubRepository


def push_to_hub(repository: str, files: list[Path], card: Path) -> str:
    """Uploads the files, and the card as README.md, to a dataset of the Hub in one commit; returns its address.

    A new dataset is created as private. Raises UserError if the Hub refuses.
    """
    try:
        dataset = HubRepository(repository, "dataset")
        dataset.check()
        dataset.push({**{path.name: path for path in files}, "README.md": card}, "convert_to_data.py")
    except UserError as error:
        raise UserError(f"the dataset is written, but not on the Hub: {error}") from None
    return dataset.address()
