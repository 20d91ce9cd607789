"""Merges on the Hugging Face Hub: a revision (branch) per alpha in one repository, or a repository per alpha.

Each gets all files of its folder. Its card is that of the folder (`report.write_card`), with metadata that the Hub
accepts: those parents that are models of the Hub, and their licence if both have the same.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hindsight.errors import UserError, require
from hindsight.files.records import read_record
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.checkpoints import INDEX, resolve_checkpoint
from hindsight.merging.report import MERGE_FILE
from hindsight.merging.scaled_adapters import SCALED_FILE
from hindsight.servers.hub_repository import MAIN, HubRepository

LAYOUTS = ("revisions", "repositories")
CARD_FILE = "README.md"
OURS = {CARD_FILE, ".gitattributes"}  # files of a revision to which no model has been pushed
MADE = {MERGE_FILE, SCALED_FILE}  # one of them is in every revision that this module has pushed
NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")  # characters that a repository's name cannot have

MARK = "<!-- written by merge_models.py -->"
LIST_OF_REVISIONS = """---
{metadata}---
{mark}

# {name}

{finetuned}, merged back towards {base} by hindsight merging (Veselovsky et al., "Hindsight Merging", UAI 2025): a
revision per alpha, where 0 is the base and 1 the fine-tuned model. `main` has no weights.

{revisions}

{usage}
"""
USAGE = """    AutoModelForCausalLM.from_pretrained("{name}", revision="{revision}")
    vllm serve {name} --revision {revision}"""
USAGE_OF_ADAPTERS = (
    """    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "{name}", revision="{revision}")"""
)


@dataclass(frozen=True)
class HubOptions:
    """Where to push merges: `push_to_hub` is OWNER/NAME, or OWNER/NAME@REVISION for one alpha; empty: nowhere.

    `hub_layout` is one of LAYOUTS; `hub_private`: whether new repositories are private. Raises UserError for an invalid
    name or layout.
    """

    push_to_hub: str = ""
    hub_layout: str = "revisions"
    hub_private: bool = True

    def __post_init__(self) -> None:
        require(self.hub_layout in LAYOUTS, f"HUB_LAYOUT is {' or '.join(LAYOUTS)}, not {self.hub_layout!r}")

    def targets(self, rules: Sequence[AlphaRule]) -> list[tuple[HubRepository, str]]:
        """The repository and the revision of each alpha. Raises UserError if two would share one."""
        name, _, revision = self.push_to_hub.partition("@")
        names = [NO_NAME.sub("-", rule.folder_name) for rule in rules]
        require(len(set(names)) == len(names), f"two alphas would have one name on the Hub: {', '.join(names)}")
        if revision:
            require(len(names) == 1, f"{self.push_to_hub} names one revision, and there are {len(names)} alphas")
            return [(HubRepository(name, private=self.hub_private), revision)]
        if self.hub_layout == "revisions":
            repository = HubRepository(name, private=self.hub_private)
            return [(repository, each) for each in names]
        return [(HubRepository(f"{name}-{each}", private=self.hub_private), MAIN) for each in names]


def check_targets(targets: Sequence[tuple[HubRepository, str]]) -> None:
    """Raises UserError, before the hours of a merge, if the Hub refuses or a revision holds somebody else's files."""
    for repository in dict(targets):
        repository.check()
    for repository, revision in targets:
        files = repository.files(revision)
        _require_ours(repository, revision, files if files is not None else repository.files() or [])


def push_merges(
    folders: Sequence[Path], targets: Sequence[tuple[HubRepository, str]], say: Callable[[str], None]
) -> None:
    """Pushes folders of `merge_checkpoints` or `scale_adapter`; `say` gets a sentence for each.

    Unchanged files are not sent again. Raises UserError if the Hub refuses; the next call resumes.
    """
    for folder, (repository, revision) in zip(folders, targets, strict=True):
        files: dict[str, Path | bytes] = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
        files[CARD_FILE] = hub_card(folder).encode()
        there = repository.files(revision) or repository.files() or []
        _require_ours(repository, revision, there)
        weights = [name for name in there if "/" not in name and (name.endswith(".safetensors") or name == INDEX)]
        stale = [name for name in weights if name not in files]
        changed = repository.push(files, f"merge_models.py: {folder.name}", revision, stale)
        address = repository.address(revision)
        say(f"{folder}: pushed to {address}" if changed else f"{folder}: nothing has changed in {address}")
    for repository, revision in dict(targets).items():
        if revision != MAIN and not MADE & set(repository.files() or []):
            _push_list(repository, folders[0], say)


def hub_card(folder: Path) -> str:
    """The card of a merge's folder, in the form that the Hub accepts."""
    card = (folder / CARD_FILE).read_text(encoding="utf-8").split("---\n", 2)[-1]
    metadata, licences = _metadata(folder)
    stated = [f"{parent}: {licence}" for parent, licence in licences.items()]
    note = f"\nLicences, as the cards of the two models state them: {'; '.join(stated)}.\n" if stated else ""
    return f"---\n{_yaml(metadata)}---\n{card}{note}"


def licence_of(name: str) -> dict[str, str]:
    """`license`, `license_name` and `license_link` of a model's card, those that it states; empty without a card."""
    try:
        path = resolve_checkpoint(name) / CARD_FILE
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        metadata = yaml.safe_load(text.split("---\n", 2)[1]) if text.startswith("---\n") else {}
    except (UserError, yaml.YAMLError, IndexError):
        return {}
    keys = ("license", "license_name", "license_link")
    return {key: metadata[key] for key in keys if isinstance(metadata, dict) and isinstance(metadata.get(key), str)}


def hub_name(name: str) -> str | None:
    """A model's name on the Hub; for a folder, only if it is a snapshot in the Hub's cache, else None."""
    if not Path(name).is_dir():
        return name.partition("@")[0] if name.count("/") == 1 else None
    folder = Path(name).resolve()
    cached = folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--")
    return folder.parents[1].name.removeprefix("models--").replace("--", "/", 1) if cached else None


def _metadata(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The Hub's metadata of a merge, and what each parent states about its licence."""
    is_adapter, parents = _is_adapter(folder), _parents(folder)
    known = [name for name in map(hub_name, parents[:1] if is_adapter else parents) if name]
    stated = {parent: licence_of(parent) for parent in parents}
    metadata: dict[str, Any] = {"library_name": "peft" if is_adapter else "transformers"}
    metadata |= {"base_model": known, "base_model_relation": "adapter" if is_adapter else "merge"} if known else {}
    base, finetuned = stated[parents[0]], stated[parents[1]]
    metadata |= base if base == finetuned else {}
    metadata["tags"] = ["hindsight-merging", *["merge"] * (not is_adapter)]
    words = {
        parent: licence.get("license_name") or licence.get("license", "none") for parent, licence in stated.items()
    }
    return metadata, words if base or finetuned else {}


def _parents(folder: Path) -> tuple[str, str]:
    """The base and the fine-tuned model or adapter that a folder was made of."""
    if _is_adapter(folder):
        made = read_record(folder / SCALED_FILE)
        return made["base"], made["adapter"]
    made = read_record(folder / MERGE_FILE)
    return made["base"]["name"], made["finetuned"]["name"]


def _is_adapter(folder: Path) -> bool:
    return (folder / SCALED_FILE).exists()


def _push_list(repository: HubRepository, folder: Path, say: Callable[[str], None]) -> None:
    """The card of `main`, for a repository with a revision per alpha; a card that somebody else wrote stays."""
    revisions = [branch for branch in repository.branches() if branch.startswith("alpha_")]
    if not revisions:  # a revision that the user named
        return
    if CARD_FILE in (repository.files() or []):
        path = repository.download(patterns=[CARD_FILE]) / CARD_FILE
        if MARK not in path.read_text(encoding="utf-8", errors="replace"):
            say(f"{repository.address()} has a card that is not by this script, and keeps it")
            return
    base, finetuned = _parents(folder)
    rows = [f"- [{branch}]({repository.address(branch)})" for branch in revisions]
    values = {"name": repository.name, "base": base, "finetuned": finetuned, "mark": MARK}
    usage = USAGE_OF_ADAPTERS if _is_adapter(folder) else USAGE
    usage = usage.format(name=repository.name, revision=revisions[0], base=base)
    values |= {"metadata": _yaml(_metadata(folder)[0]), "revisions": "\n".join(rows), "usage": usage}
    card = LIST_OF_REVISIONS.format(**values)
    repository.push({CARD_FILE: card.encode()}, "merge_models.py: the list of revisions")


def _require_ours(repository: HubRepository, revision: str, files: Sequence[str]) -> None:
    free = set(files) <= OURS or MADE & set(files)
    where = repository.name + f"@{revision}" * (revision != MAIN)
    require(bool(free), f"{where} holds files that merge_models.py did not push: give another name")


def _yaml(metadata: dict[str, Any]) -> str:
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
