"""Merging whole checkpoints: one folder for each alpha, made shard by shard, whole or not there.

    from hindsight.merging.merge import merge_checkpoints

    merge_checkpoints("meta-llama/Llama-3.1-8B", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "merged", [0.7, 0.9])

Nothing is instantiated. A merge is made in `.alpha_A.partial` and renamed when it is whole; a run that was killed goes
on with the shards that are not there.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.records import read_record, write_json
from hindsight.merging.arithmetic import METHODS
from hindsight.merging.checkpoints import INDEX, WEIGHTS, Checkpoint, header_bytes, open_checkpoint
from hindsight.merging.plan import MergePlan, Pair, plan_merge
from hindsight.merging.report import MERGE_FILE, write_card, write_report
from hindsight.merging.streaming import Output, TensorReport, TensorStream

UNFINISHED = "unfinished.json"
OF_THE_INPUTS = {"README.md", ".gitattributes", MERGE_FILE, UNFINISHED}  # files that say nothing true of a merged model


@dataclass(frozen=True)
class Shard:
    """A file of the merged checkpoint and the pairs that it holds, in order."""

    file: str
    pairs: list[Pair]

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(pair.leading.size for pair in self.pairs)

    @property
    def facts_file(self) -> str:
        """Where its tensors' reports lie until the merge is whole."""
        return f"{self.file}.json"


def merge_checkpoints(
    base: str | Path,
    finetuned: str | Path,
    output_dir: str | Path,
    alphas: Sequence[float],
    method: str = "lerp",
    config_from: str = "finetuned",
    max_shard_gb: float = 5.0,
    workers: int = 0,
    say: Callable[[str], None] = lambda sentence: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Merges two checkpoints at each alpha into `output_dir/alpha_A`, and writes a report of all beside them.

    `base` and `finetuned` are folders of safetensors or Hub names; `alphas` lie in [0, 1]; `config_from` ("base" or
    "finetuned") says whose config, tokenizer, dtypes and vocabulary the merged models get; `workers` are threads that
    compute, 0: one a core but the one that reads. `progress` is called with the bytes of input that were read just now
    and those to be read in all. Folders that hold the same merge are left as they are. Raises UserError when the two
    cannot be merged, when a folder holds something else, or when the disk is too small.
    """
    require(method in METHODS, f"METHOD is {' or '.join(METHODS)}, not {method!r}")
    require(config_from in ("base", "finetuned"), f"CONFIG_FROM is base or finetuned, not {config_from!r}")
    require(bool(alphas) and all(0 <= alpha <= 1 for alpha in alphas), f"ALPHAS lie in [0, 1], not {list(alphas)}")
    require(max_shard_gb > 0, f"MAX_SHARD_GB is above 0, not {max_shard_gb}")
    plan = plan_merge(open_checkpoint(base), open_checkpoint(finetuned), config_from)
    for note in plan.notes:
        say(f"note: {note}")
    shards = _divide(plan.pairs, max_shard_gb)
    merges = {alpha: Path(output_dir) / f"alpha_{alpha:.12g}" for alpha in sorted(set(alphas))}
    require(len(set(merges.values())) == len(merges), f"ALPHAS are too close to be told apart: {list(alphas)}")
    facts = {alpha: _facts(plan, alpha, method, config_from, max_shard_gb) for alpha in merges}
    missing = [alpha for alpha, folder in merges.items() if not _is_made(folder, facts[alpha], plan)]
    for alpha in merges.keys() - set(missing):
        say(f"{merges[alpha]} is there")
    if missing:
        with contextlib.ExitStack() as stack:
            partial = {alpha: stack.enter_context(_partial(merges[alpha], facts[alpha])) for alpha in missing}
            _require_space(Path(output_dir), shards, partial)
            _merge_shards(shards, method, partial, workers or _free_cores(), progress)
            for alpha in missing:
                _finish(plan, shards, partial[alpha], merges[alpha], facts[alpha])
    write_report(Path(output_dir), merges.values())
    return list(merges.values())


def compare_checkpoints(base: str | Path, finetuned: str | Path) -> list[TensorReport]:
    """How far two checkpoints are from each other, tensor by tensor, with nothing written. Raises as a merge does."""
    plan = plan_merge(open_checkpoint(base), open_checkpoint(finetuned))
    with TensorStream(_free_cores(), lambda size: None) as stream:
        pending = [stream.merge(pair, "lerp", [], []) for pair in plan.pairs]
        return [report() for report in pending]


def checkpoint_digest(checkpoint: Checkpoint, known: Mapping[str, str] = MappingProxyType({})) -> str:
    """A digest of a checkpoint's weights, the same however they are sharded.

    SHA-256 of the sorted lines `name dtype [shape] SHA-256`, a tensor each; the tensors whose own SHA-256 is not
    `known` are read.
    """
    with TensorStream(1, lambda size: None) as stream:
        lines = sorted(
            f"{name} {tensor.dtype_name} {list(tensor.shape)} {known.get(name) or stream.digest(tensor)}\n"
            for name, tensor in checkpoint.tensors.items()
        )
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _free_cores() -> int:
    """This process's cores but the one that reads."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _divide(pairs: list[Pair], max_shard_gb: float) -> list[Shard]:
    """Shards of at most that many gigabytes (10^9 bytes), or of one tensor; in each the wider dtypes come first."""
    parts: list[list[Pair]] = [[]]
    for pair in pairs:
        if parts[-1] and sum(each.leading.size for each in parts[-1]) + pair.leading.size > max_shard_gb * 1e9:
            parts.append([])
        parts[-1].append(pair)
    names = [f"model-{number:05}-of-{len(parts):05}.safetensors" for number in range(1, len(parts) + 1)]
    names = names if len(parts) > 1 else ["model.safetensors"]
    ordered = [sorted(part, key=lambda pair: -pair.leading.dtype.itemsize) for part in parts]
    return [Shard(name, part) for name, part in zip(names, ordered, strict=True)]


def _facts(plan: MergePlan, alpha: float, method: str, config_from: str, max_shard_gb: float) -> dict[str, Any]:
    """What makes two merges the same one, to the layout of their files."""
    return {
        **{key: _input_facts(each) for key, each in (("base", plan.base), ("finetuned", plan.finetuned))},
        "alpha": alpha,
        "method": method,
        "config_from": config_from,
        "max_shard_gb": max_shard_gb,
    }


def _input_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"name": checkpoint.name, "revision": checkpoint.revision, "files": checkpoint.files()}


def _identity(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts without the models' names, which may be written in several ways."""
    return {**facts, **{key: facts[key]["files"] for key in ("base", "finetuned")}}


def _is_made(folder: Path, facts: dict[str, Any], plan: MergePlan) -> bool:
    """Whether the folder holds this very merge. Raises UserError when it holds something else."""
    if not folder.exists():
        return False
    require((folder / MERGE_FILE).exists(), f"{folder} is there and was not made by this script; give another folder")
    made = _read(folder / MERGE_FILE)
    differing = [
        f"{key} is {made.get(key)!r}, not {facts[key]!r}" for key in ("alpha", "method", "config_from")
        if made.get(key) != facts[key]
    ]  # fmt: skip
    for key, checkpoint in (("base", plan.base), ("finetuned", plan.finetuned)):
        earlier = made.get(key) or {}
        if earlier.get("files") != facts[key]["files"] and earlier.get("digest") != checkpoint_digest(checkpoint):
            differing.append(f"{key} was {earlier.get('name')} with other weights than {checkpoint.name}")
    if differing:
        raise UserError(f"{folder} holds another merge ({'; '.join(differing)}); give another --output_dir")
    return True


@contextlib.contextmanager
def _partial(folder: Path, facts: dict[str, Any]):
    """The folder that a merge is made in, locked; what an earlier run left there of the same merge is kept."""
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is making {folder}") from None
        if not (partial / UNFINISHED).exists():  # killed before it was written, or after the merge was whole
            for path in partial.iterdir():
                if path.name != ".lock":
                    path.unlink()
        elif _identity(_read(partial / UNFINISHED)) != _identity(facts):
            raise UserError(f"{partial} holds an unfinished merge of other weights or settings; delete it to go on")
        write_json(partial / UNFINISHED, facts)
        yield partial


def _require_space(output_dir: Path, shards: list[Shard], partial: dict[float, Path]) -> None:
    wanted = sum(shard.size for shard in shards for folder in partial.values() if not _is_written(folder, shard))
    free = shutil.disk_usage(output_dir).free
    if wanted > free:
        raise UserError(f"{output_dir} has {free / 1e6:,.0f} MB free, the merge wants {wanted / 1e6:,.0f} MB")


def _is_written(folder: Path, shard: Shard) -> bool:
    return (folder / shard.facts_file).exists() and (folder / shard.file).exists()


def _merge_shards(
    shards: list[Shard], method: str, partial: dict[float, Path], workers: int, progress: Callable[[int, int], None]
) -> None:
    """Writes the shards that are not there, each for all alphas that lack it."""
    lacking = [(shard, [alpha for alpha in partial if not _is_written(partial[alpha], shard)]) for shard in shards]
    lacking = [(shard, alphas) for shard, alphas in lacking if alphas]
    total = sum(pair.base.size + pair.finetuned.size for shard, _ in lacking for pair in shard.pairs)
    with TensorStream(workers, lambda size: progress(size, total)) as stream:
        for shard, alphas in lacking:
            rows = _merge_shard(stream, shard, method, {alpha: partial[alpha] for alpha in alphas})
            for alpha in alphas:
                write_json(partial[alpha] / shard.facts_file, {"tensors": rows})


def _merge_shard(stream: TensorStream, shard: Shard, method: str, partial: dict[float, Path]) -> list[dict[str, Any]]:
    header, places = header_bytes({pair.name: (pair.leading.dtype, pair.leading.shape) for pair in shard.pairs})
    with contextlib.ExitStack() as stack:
        outputs = []
        for folder in partial.values():
            outputs.append(Output(folder / f"{shard.file}.part", header, places))
            stack.callback(outputs[-1].close)
        stack.push(stream.stop)
        pending = [stream.merge(pair, method, list(partial), outputs) for pair in shard.pairs]
        rows = [report().to_json() for report in pending]
    for folder in partial.values():
        (folder / f"{shard.file}.part").rename(folder / shard.file)
    return rows


def _finish(plan: MergePlan, shards: list[Shard], partial: Path, folder: Path, facts: dict[str, Any]) -> None:
    """Adds what is not weights, and renames the folder."""
    rows = [row for shard in shards for row in _read(partial / shard.facts_file)["tensors"]]
    if len(shards) > 1:
        total = sum(shard.size for shard in shards)
        weight_map = {pair.name: shard.file for shard in shards for pair in shard.pairs}
        write_json(partial / INDEX, {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})
    for path in plan.leading.folder.iterdir():
        weights = path.suffix in WEIGHTS or path.name.endswith((".safetensors.index.json", ".bin.index.json"))
        if path.is_file() and not weights and path.name not in OF_THE_INPUTS:
            shutil.copyfile(path, partial / path.name)
    if plan.config != plan.leading.config:
        write_json(partial / "config.json", plan.config)
    for key, checkpoint in (("base", plan.base), ("finetuned", plan.finetuned)):
        facts[key] |= {"digest": checkpoint_digest(checkpoint, {row["name"]: row[f"{key}_digest"] for row in rows})}
    made = {**facts, "notes": plan.notes, "tensors": rows}
    write_json(partial / MERGE_FILE, made)
    write_card(partial / "README.md", made)
    for shard in shards:
        (partial / shard.facts_file).unlink()
    for name in (UNFINISHED, ".lock"):
        (partial / name).unlink()
    partial.rename(folder)


def _read(path: Path) -> dict[str, Any]:
    """JSON that this module wrote. Raises UserError where it is broken."""
    try:
        return read_record(path)
    except BrokenFile as error:
        raise UserError(f"{error}; delete {path.parent}") from None
