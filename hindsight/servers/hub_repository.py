"""Repositories of the Hugging Face Hub that results are pushed to.

    repository = HubRepository("me/name")
    repository.check()
    repository.push({"README.md": b"...", "model.safetensors": Path("alpha_0.7/model.safetensors")}, "alpha 0.7")

A push is one commit, so nobody downloads half of it. Files that an interrupted push has sent are not sent again, and a
push that changes nothing makes no commit. The token is that of HF_TOKEN or of `hf auth login`.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hindsight.errors import UserError, require

MAIN = "main"
NO_TOKEN = "the Hub needs a token that may write: set HF_TOKEN, or run `hf auth login`"


@dataclass(frozen=True)
class HubRepository:
    """A repository by its name, OWNER/NAME; `kind` is "model" or "dataset".

    `private`: whether a new repository is private; an existing one stays as it is. Raises UserError for an invalid
    name.
    """

    name: str
    kind: str = "model"
    private: bool = True

    def __post_init__(self) -> None:
        from huggingface_hub.errors import HFValidationError  # here, so that steps without the Hub do not import it
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(self.name)
        except HFValidationError as error:
            raise UserError(f"{self.name!r} cannot be a repository of the Hub: {_reason(error)}") from None
        require("/" in self.name, f"{self.name!r} lacks its owner: give OWNER/NAME, such as me/{self.name}")

    def address(self, revision: str = MAIN) -> str:
        """Its page."""
        from huggingface_hub import constants

        folder = f"/tree/{revision}" if revision != MAIN else ""
        return f"{constants.ENDPOINT}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}{folder}"

    def check(self) -> None:
        """Raises UserError unless the Hub can be reached and accepts the token."""
        from huggingface_hub import HfApi, get_token

        require(bool(get_token()), NO_TOKEN)
        with self._refusals():
            HfApi().whoami()

    def files(self, revision: str = MAIN) -> list[str] | None:
        """The names of a revision's files; None if the Hub lacks the repository or the revision."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        with self._refusals():
            try:
                return HfApi().list_repo_files(self.name, revision=revision, repo_type=self.kind)
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return None

    def branches(self) -> list[str]:
        """The names of its branches, sorted."""
        from huggingface_hub import HfApi

        with self._refusals():
            return sorted(each.name for each in HfApi().list_repo_refs(self.name, repo_type=self.kind).branches)

    def push(
        self, files: Mapping[str, Path | bytes], message: str, revision: str = MAIN, stale: Collection[str] = ()
    ) -> bool:
        """Commits the files by name, and deletes the `stale` ones; False if there was nothing to change.

        Makes the repository and the branch if they are missing. Raises UserError if the Hub refuses or cannot be
        reached; the next call then resumes.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        with self._refusals():
            api = HfApi()
            api.create_repo(self.name, repo_type=self.kind, private=self.private, exist_ok=True)
            if revision != MAIN:
                api.create_branch(self.name, branch=revision, repo_type=self.kind, exist_ok=True)
            before = api.repo_info(self.name, repo_type=self.kind, revision=revision).sha
            changes = [CommitOperationAdd(name, content) for name, content in files.items()]
            changes += [CommitOperationDelete(name, is_folder=False) for name in stale]
            commit = api.create_commit(
                self.name, changes, commit_message=message, repo_type=self.kind, revision=revision
            )
        return commit.oid != before

    def download(self, revision: str = MAIN, patterns: Collection[str] = ()) -> Path:
        """The folder, in the Hub's cache, of the files that match a pattern; without patterns, of all.

        Raises UserError if the Hub lacks the repository or the revision, or cannot be reached.
        """
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._refusals():
            try:
                allowed = list(patterns) or None
                return Path(
                    snapshot_download(self.name, repo_type=self.kind, revision=revision, allow_patterns=allowed)
                )
            except RepositoryNotFoundError:
                is_other = HfApi().repo_exists(self.name, repo_type=self._other_kind)
                found = f": it is a {self._other_kind}" if is_other else ", or it is private and needs a token"
                raise UserError(f"the Hub has no {self.kind} {self.name}{found}") from None

    @property
    def _other_kind(self) -> str:
        return "dataset" if self.kind == "model" else "model"

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turns what the Hub's client raises into one sentence."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # errors of several HTTP libraries
            raise UserError(self._sentence(error)) from None

    def _sentence(self, error: Exception) -> str:
        from huggingface_hub import constants
        from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == 401:
            return f"the Hub refuses the token: {_reason(error)}; set another HF_TOKEN, or run `hf auth login`"
        if status == 403:
            return f"the token may not write to {self.name}: {_reason(error)}"
        if isinstance(error, OfflineModeIsEnabled):
            return f"{self.name} cannot be reached: HF_HUB_OFFLINE is set"
        if isinstance(error, RuntimeError | ConnectionError):  # by the client about a file, or by hf_xet
            cause = f": {_reason(error.__cause__)}" if error.__cause__ else ""
            return f"the connection to {self.name} broke off ({_reason(error)}{cause}); run again to resume"
        if type(error).__module__.startswith("httpx") or isinstance(error, LocalEntryNotFoundError):
            return f"{constants.ENDPOINT} cannot be reached ({_reason(error)}); run again to resume"
        return f"the Hub did not accept {self.name}: {_reason(error)}"


def _reason(error: BaseException) -> str:
    """What the Hub said, or the first line of an error, with the list below it."""
    said = getattr(error, "server_message", None) or str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    parts = [*lines[:1], *(line for line in lines[1:] if line.startswith("- "))]
    return " ".join(parts).rstrip(".") or type(error).__name__
