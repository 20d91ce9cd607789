"""Publishing a dataset on the Hugging Face Hub."""

from pathlib import Path

from hindsight.errors import UserError
from hindsight.servers.hub_repository import HubRepository


def hub_dataset(name: str) -> HubRepository:
    """The dataset of the Hub to push to. Raises UserError if the Hub cannot be reached or refuses the token."""
    dataset = HubRepository(name, "dataset")
    dataset.check()
    return dataset


def push_to_hub(dataset: HubRepository, files: list[Path], card: Path) -> str:
    """Uploads the files, and the card as README.md, to a dataset of the Hub in one commit; returns its address.

    A new dataset is created as private. Raises UserError if the Hub refuses.
    """
    try:
        dataset.push({**{path.name: path for path in files}, "README.md": card}, "convert_to_data.py")
    except UserError as error:
        raise UserError(f"the dataset is written, but not on the Hub: {error}") from None
    return dataset.address()
