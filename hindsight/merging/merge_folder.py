"""The folder of one merged checkpoint: made under another name and renamed when it is complete.

`alpha_A` is made in `.alpha_A.partial`. A run that was killed left complete shards there, each with the reports of its
tensors, and the next run resumes with the missing ones.
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.records import read_record, write_json
from hindsight.merging.adapters import AdaptedCheckpoint
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.checkpoints import INDEX, Checkpoint, checkpoint_digest
from hindsight.merging.plan import MergePlan, TensorPair
from hindsight.merging.report import MERGE_FILE, write_card
from hindsight.merging.streaming import TensorReport

UNFINISHED = "unfinished.json"
LOCK = ".lock"
NOT_COPIED = {"README.md", ".gitattributes", MERGE_FILE, UNFINISHED}  # files that do not describe the merged model


@dataclass(frozen=True)
class Shard:
    """A file of the merged checkpoint, and its pairs in order."""

    file: str
    pairs: list[TensorPair]

    @property
    def size(self) -> int:
        """Of its tensors, in bytes."""
        return sum(pair.leading.size for pair in self.pairs)

    @property
    def reports_file(self) -> str:
        """The file of its tensors' reports, until the merge is complete."""
        return f"{self.file}.json"


def divide_into_shards(pairs: Sequence[TensorPair], max_shard_gb: float) -> list[Shard]:
    """Shards of at most `max_shard_gb` gigabytes (10^9 bytes), or of one tensor; wider dtypes come first in each."""
    parts: list[list[TensorPair]] = [[]]
    for pair in pairs:
        if parts[-1] and sum(each.leading.size for each in parts[-1]) + pair.leading.size > max_shard_gb * 1e9:
            parts.append([])
        parts[-1].append(pair)
    names = [f"model-{number:05}-of-{len(parts):05}.safetensors" for number in range(1, len(parts) + 1)]
    names = names if len(parts) > 1 else ["model.safetensors"]
    ordered = [sorted(part, key=lambda pair: -pair.leading.dtype.itemsize) for part in parts]
    return [Shard(name, part) for name, part in zip(names, ordered, strict=True)]


@dataclass(frozen=True)
class MergeFolder:
    """One alpha's folder, or one rule's; `settings` are the method, config_from and max_shard_gb of the merge."""

    path: Path
    plan: MergePlan
    rule: AlphaRule
    settings: dict[str, Any]

    @property
    def partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial")

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The inputs, as they were found at the start, and the settings: they determine every byte of the merge."""
        parents = {"base": _describe(self.plan.base), "finetuned": _describe(self.plan.finetuned)}
        return {**parents, "alpha": self.rule.to_json(), **self.settings}

    def is_complete(self) -> bool:
        """Whether the folder already holds this merge. Raises UserError if it holds something else."""
        if not self.path.exists():
            return False
        foreign = f"{self.path} exists and was not made by merge_models.py; choose another folder"
        require((self.path / MERGE_FILE).exists(), foreign)
        made, identity = _read(self.path / MERGE_FILE), self.identity
        differing = [
            f"{key} is {made.get(key)!r}, not {identity[key]!r}"
            for key in ("alpha", "method", "config_from")
            if made.get(key) != identity[key]
        ]
        for key, checkpoint in (("base", self.plan.base), ("finetuned", self.plan.finetuned)):
            earlier = made.get(key) or {}
            if earlier.get("files") != identity[key]["files"] and earlier.get("digest") != checkpoint_digest(
                checkpoint
            ):
                differing.append(f"{key} was {earlier.get('name')} with other weights than {checkpoint.name}")
        if differing:
            raise UserError(f"{self.path} holds another merge ({'; '.join(differing)}); choose another --output_dir")
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes and locks the partial folder; complete shards that an earlier run of the same merge left are kept.

        Raises UserError if another process makes this merge, or if the folder holds the shards of another merge.
        """
        self.partial.mkdir(parents=True, exist_ok=True)
        with (self.partial / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"another process is making {self.path}") from None
            except OSError as error:
                reason = f"{lock.name} cannot be locked ({error.strerror})"
                raise UserError(f"{reason}: give an output folder on another disk, and move the checkpoint") from None
            unfinished = self.partial / UNFINISHED
            if not unfinished.exists():  # killed before it was written, or after the merge was complete
                for path in self.partial.iterdir():
                    if path.name != LOCK:
                        path.unlink()
            elif _without_names(_read(unfinished)) != _without_names(self.identity):
                found = f"{self.partial} holds an unfinished merge with other weights or settings"
                raise UserError(f"{found}; delete it to make this merge")
            write_json(unfinished, self.identity)
            yield

    def has(self, shard: Shard) -> bool:
        return (self.partial / shard.reports_file).exists() and (self.partial / shard.file).exists()

    def being_written(self, shard: Shard) -> Path:
        """The path of a shard until `add`."""
        return self.partial / f"{shard.file}.part"

    def add(self, shard: Shard, reports: Sequence[TensorReport]) -> None:
        """Renames a shard that is complete, and writes its tensors' reports."""
        self.being_written(shard).rename(self.partial / shard.file)
        write_json(self.partial / shard.reports_file, {"tensors": [asdict(report) for report in reports]})

    def finish(self, shards: Sequence[Shard]) -> None:
        """Adds the files other than weights, and renames the folder."""
        rows = [row for shard in shards for row in _read(self.partial / shard.reports_file)["tensors"]]
        self._write_index(shards)
        self._copy_other_files()
        made = {**self.identity, "notes": self.plan.notes, "tensors": rows}
        for key, checkpoint in (("base", self.plan.base), ("finetuned", self.plan.finetuned)):
            digest = checkpoint_digest(checkpoint, {row["name"]: row[f"{key}_digest"] for row in rows})
            made[key] = {**made[key], "digest": digest}
        if isinstance(self.plan.leading, AdaptedCheckpoint):
            made["tokenizer_from"] = "finetuned" if self.plan.leading.own_tokenizer else "base"
        write_json(self.partial / MERGE_FILE, made)
        write_card(self.partial / "README.md", made)
        for name in [shard.reports_file for shard in shards] + [UNFINISHED, LOCK]:
            (self.partial / name).unlink()
        self.partial.rename(self.path)

    def _write_index(self, shards: Sequence[Shard]) -> None:
        if len(shards) > 1:
            weight_map = {pair.name: shard.file for shard in shards for pair in shard.pairs}
            total = {"total_size": sum(shard.size for shard in shards)}
            write_json(self.partial / INDEX, {"metadata": total, "weight_map": dict(sorted(weight_map.items()))})

    def _copy_other_files(self) -> None:
        """Copies the leading model's tokenizer and other files, and writes the merged model's config."""
        for path in self.plan.leading.other_files():
            if path.name not in NOT_COPIED:
                shutil.copyfile(path, self.partial / path.name)
        if self.plan.config != self.plan.leading.config:
            write_json(self.partial / "config.json", self.plan.config)


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"name": checkpoint.name, "revision": checkpoint.revision, "files": checkpoint.files()}


def _without_names(identity: dict[str, Any]) -> dict[str, Any]:
    """The identity without the models' names, since one model can be named in several ways."""
    return {**identity, **{key: identity[key]["files"] for key in ("base", "finetuned")}}


def _read(path: Path) -> dict[str, Any]:
    """JSON that this module wrote. Raises UserError if it is broken."""
    try:
        return read_record(path)
    except BrokenFile as error:
        raise UserError(f"{error}; delete {path.parent}") from None
