"""Merging whole checkpoints: one folder per alpha, written shard by shard.

    from hindsight.merging.merge import MergeOptions, merge_checkpoints

    base, finetuned = "meta-llama/Llama-3.1-8B", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
    merge_checkpoints(base, finetuned, "merged", MergeOptions(alphas=[0.7, 0.9]))

No model is instantiated. A run that was killed resumes with the missing shards.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hindsight.errors import require
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.arithmetic import METHODS
from hindsight.merging.kinship import check_kinship
from hindsight.merging.merge_folder import MergeFolder, Shard, divide_into_shards
from hindsight.merging.plan import plan_merge
from hindsight.merging.report import write_report
from hindsight.merging.safetensors_files import TensorWriter
from hindsight.merging.streaming import CannotMerge, PairMerger, TensorReport


@dataclass(frozen=True)
class MergeOptions:
    """How to merge two checkpoints. Raises UserError for values that no merge can have.

    `alphas` lie in [0, 1], 0 is the base; `method` is "lerp" or "slerp"; `config_from`, "finetuned" or "base", is the
    model that gives config, tokenizer, dtypes and vocabulary; `max_shard_gb` is the largest file in 10^9 bytes;
    `workers` is the number of computing threads, 0 for one per core except the one that reads. `alpha_of` gives
    parts other alphas, in all of these merges (see `alphas`); `extrapolate` allows LERP's alphas beyond [0, 1];
    `allow_unrelated` merges two models that are farther apart than any fine-tune (see `kinship`).
    """

    alphas: Sequence[float]
    method: str = "lerp"
    config_from: str = "finetuned"
    max_shard_gb: float = 5.0
    workers: int = 0
    alpha_of: Sequence[str] = ()
    extrapolate: bool = False
    allow_unrelated: bool = False

    def __post_init__(self) -> None:
        require(self.method in METHODS, f"METHOD is {' or '.join(METHODS)}, not {self.method!r}")
        require(
            self.config_from in ("base", "finetuned"), f"CONFIG_FROM is base or finetuned, not {self.config_from!r}"
        )
        require(bool(self.alphas), "give at least one alpha by --alphas")
        for rule in self.rules:
            rule.require_method(self.method)
        require(self.workers >= 0, f"WORKERS is at least 1, or 0 for one fewer than cores, not {self.workers}")
        require(self.max_shard_gb > 0, f"MAX_SHARD_GB is above 0, not {self.max_shard_gb}")

    @property
    def rules(self) -> list[AlphaRule]:
        """One rule per alpha, in order. Raises UserError for alphas or parts that no rule can have."""
        return [AlphaRule.parse(alpha, self.alpha_of, self.extrapolate) for alpha in sorted(set(self.alphas))]


def merge_checkpoints(
    base: str | Path,
    finetuned: str | Path,
    output_dir: str | Path,
    options: MergeOptions,
    say: Callable[[str], None] = lambda sentence: None,
    progress: Callable[[int, int], None] = lambda size, total: None,
) -> list[Path]:
    """Merges two checkpoints at each alpha into `output_dir/alpha_A`, and writes one report about all of them.

    `base` and `finetuned` are folders of safetensors or Hub names. `say` gets each sentence for the user; `progress`
    gets the bytes just read and the bytes to read in total. Folders that already hold the same merge are kept. Raises
    UserError if the two cannot be merged, if a folder holds something else, or if the disk is too small.
    """
    output_dir = Path(output_dir)
    plan = plan_merge(base, finetuned, options.config_from)
    names = [pair.name for pair in plan.pairs]
    for rule in options.rules:
        rule.require_used(names)
    settings = {key: asdict(options)[key] for key in ("method", "config_from", "max_shard_gb")}
    folders = [MergeFolder(output_dir / rule.folder_name, plan, rule, settings) for rule in options.rules]
    paths = [folder.path for folder in folders]
    require(len(set(paths)) == len(paths), f"ALPHAS are too close to be told apart: {list(options.alphas)}")
    missing = [folder for folder in folders if not folder.is_complete()]
    plan.notes.extend(check_kinship(plan, options.allow_unrelated) if missing else [])
    for note in plan.notes:
        say(f"note: {note}")
    for folder in folders:
        if folder not in missing:
            say(f"{folder.path} already exists")
    if missing:
        _make_folders(missing, divide_into_shards(plan.pairs, options.max_shard_gb), options, progress)
    write_report(output_dir, paths)
    return paths


def _make_folders(
    folders: Sequence[MergeFolder], shards: Sequence[Shard], options: MergeOptions, progress: Callable[[int, int], None]
) -> None:
    with contextlib.ExitStack() as locks:
        for folder in folders:
            locks.enter_context(folder.locked())
        try:
            _merge_shards(shards, folders, options, progress)
        except CannotMerge:
            for folder in folders:  # nothing to resume
                shutil.rmtree(folder.partial)
            raise
        for folder in folders:
            folder.finish(shards)


def compare_checkpoints(base: str | Path, finetuned: str | Path) -> list[TensorReport]:
    """The distance of two checkpoints, tensor by tensor; writes nothing. Raises UserError if they cannot be merged."""
    plan = plan_merge(base, finetuned)
    with PairMerger(_free_cores(), "lerp") as merger:
        pending = [merger.merge(pair, [], []) for pair in plan.pairs]
        return [report() for report in pending]


def _free_cores() -> int:
    """This process's cores, except one for the thread that reads."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _merge_shards(
    shards: Sequence[Shard], folders: Sequence[MergeFolder], options: MergeOptions, progress: Callable[[int, int], None]
) -> None:
    """Writes the missing shards, each into all folders that lack it. Raises UserError if the disk is too small."""
    lacking = [(shard, [folder for folder in folders if not folder.has(shard)]) for shard in shards]
    needed = sum(shard.size * len(without) for shard, without in lacking)
    parent = folders[0].path.parent
    free = shutil.disk_usage(parent).free
    require(needed <= free, f"{parent} has {free / 1e6:,.0f} MB free, the merge needs {needed / 1e6:,.0f} MB")
    total = sum(pair.base.size + pair.finetuned.size for shard, without in lacking if without for pair in shard.pairs)
    with PairMerger(options.workers or _free_cores(), options.method, lambda size: progress(size, total)) as merger:
        for shard, without in lacking:
            if without:
                _merge_shard(merger, shard, without)


def _merge_shard(merger: PairMerger, shard: Shard, folders: Sequence[MergeFolder]) -> None:
    tensors = {pair.name: (pair.leading.dtype, pair.leading.shape) for pair in shard.pairs}
    with contextlib.ExitStack() as stack:
        writers = []
        for folder in folders:
            writers.append(TensorWriter(folder.being_written(shard), tensors))
            stack.callback(writers[-1].close)
        stack.push(merger.stop)  # before the files are closed
        rules = [folder.rule for folder in folders]
        pending = [merger.merge(pair, [rule.alpha_of(pair.name) for rule in rules], writers) for pair in shard.pairs]
        reports = [report() for report in pending]
    for folder in folders:
        folder.add(shard, reports)
