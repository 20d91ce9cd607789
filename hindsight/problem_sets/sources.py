"""From a value of --problems to the rows of a problem set, and to their origin.

lab                           the lab's own problems
problems.jsonl                a file, whose columns tell to which set it belongs
mbppplus                      a set by its name, see `registry`
livecodebench:release_v5      a release of a set
mbpp:MbppPlus.jsonl.gz        a set from a file, here only its base tests
BAAI/TACO                     a data set of the Hub
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.problem_sets.hub import hub_files, hub_rows
from hindsight.problem_sets.local_files import SUFFIXES, ManyFiles, arrow_rows, file_rows, files_digest
from hindsight.problem_sets.registry import SOURCES
from hindsight.problem_sets.rows import Source

LAB_FILE = Path(__file__).resolve().parents[2] / "lab" / "problems.jsonl"


@dataclass(frozen=True)
class Found:
    """The rows of a source, their problems' `origin`, and the set's name, "" if only the columns can tell it."""

    rows: Any
    origin: dict[str, Any]
    name: str = ""


def find_rows(source: str, split: str = "", revision: str = "") -> Found:
    """The rows of a source. Raises UserError, with what to do about it, when they cannot be read."""
    path, (name, part) = local_file(source), _name_and_part(source)
    if path is not None and not (revision and source == name):
        if name and not part:
            split = _part(source, name, "", split)[1]
        return Found(file_rows(path), {"dataset": source, "split": split, "digest": files_digest([path])}, name)
    if name and not _names_file(part):
        return _rows_by_name(source, split, revision)
    is_hub_name = source.count("/") == 1 and not Path(source).suffix and not Path(source).parent.exists()
    require(is_hub_name and ":" not in source, _no_such(source))
    rows, revision = hub_rows(source, split, revision)
    return Found(rows, {"dataset": source, "split": split, "revision": revision})


def local_file(source: str) -> Path | None:
    """The one file of this machine that a source is read from; None for any other source and a missing file."""
    name, part = _name_and_part(source)
    if source == "lab":
        path = LAB_FILE
    elif name and part:
        path = Path(part)
    else:
        own = SOURCES[name].local if name and name == source else None
        path = own() if own else Path(source)
    return path if path.is_file() else None


def folder_of(name: str) -> Path:
    """The folder in which files of a set take the place of the Hub's."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hindsight" / "problem_sets" / name


def _name_and_part(source: str) -> tuple[str, str]:
    """The name of a set and what follows the colon, a release or a file; "" for what is missing."""
    name, _, part = source.partition(":")
    if name in SOURCES:
        return name, part
    by_dataset = [name for name, known in SOURCES.items() if known.dataset == source]
    return (by_dataset or [""])[0], ""


def _names_file(part: str) -> bool:
    return part.endswith(SUFFIXES)


def _part(source: str, name: str, part: str, split: str) -> tuple[tuple[str, ...], str, str]:
    """The files of a release or split, the split, and the source as it is recorded. Raises UserError if it has none."""
    known = SOURCES[name]
    parts = list(known.parts)
    if known.releases:
        release = part or parts[0]
        newest_first = [each for each in parts if each.startswith("release")]
        has = f"it has {', '.join(newest_first)}, and what each added: v1, ..., v1_v2, ..."
        require(release in parts, f"{name} has no release {release!r}; {has}")
        require(split in ("", "test"), f"{name} has no split {split!r}; it has test")
        return known.parts[release], "test", f"{name}:{release}"
    require(not part, f"{name} has no release {part!r}, and there is no such file")
    require(not split or split in parts, f"{source} has no split {split!r}; it has {', '.join(parts)}")
    return known.parts[split or parts[0]], split or parts[0], source


def _rows_by_name(source: str, split: str, revision: str) -> Found:
    """The rows of a set from its folder on this machine, else from the Hub."""
    name, release = _name_and_part(source)
    patterns, split, recorded = _part(source, name, release, split)
    origin = {"dataset": recorded, "split": split}
    kept = [sorted(folder_of(name).glob(Path(pattern).name)) for pattern in patterns]
    if all(kept) and not revision:
        paths = [path for files in kept for path in files]
        return Found(_rows(paths), {**origin, "digest": files_digest(paths)}, name)
    try:
        paths, revision = hub_files(SOURCES[name].dataset, patterns, revision)
    except UserError as error:
        raise UserError(f"{error}; {_what_to_put_where(name, SOURCES[name], patterns)}") from None
    return Found(_rows(paths), {**origin, "revision": revision}, name)


def _rows(paths: Sequence[Path]) -> Any:
    if paths[0].suffix in (".parquet", ".arrow"):
        return arrow_rows(paths)
    return file_rows(paths[0]) if len(paths) == 1 else ManyFiles(paths)


def _what_to_put_where(name: str, known: Source, patterns: Sequence[str]) -> str:
    if known.local:
        return f"put {known.url}, unpacked, into {known.local()}, or name a copy by --problems {name}:FILE"
    return f"put {' and '.join(patterns)} of https://huggingface.co/datasets/{known.dataset} into {folder_of(name)}"


def _no_such(source: str) -> str:
    """Why a source does not exist, in one sentence."""
    part = source.partition(":")[2]
    if _names_file(part):
        return f"there is no problem file {part}"
    if source.endswith(SUFFIXES) or "/" in source:
        return f"there is no problem file {source}"
    return f"there is no problem set or file {source!r}; the sets are lab, {', '.join(SOURCES)}"
