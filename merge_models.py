"""Step 0: merges a fine-tuned model back towards its base, into one checkpoint per alpha.

    merged = (1 - alpha) * base + alpha * finetuned

Reads two checkpoints: folders of safetensors, or Hub names, with or without @REVISION. The fine-tuned model may be a
LoRA adapter. Writes OUTPUT_DIR/alpha_A for each alpha A, ready to be served, and the distances between the two models
in merge_report.json and merge_report.png. Keeps checkpoints that already exist; a run that was killed resumes with the
missing shards.

    python merge_models.py --alphas 0.7 0.9 --output_dir runs/lab/merged
"""

from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from hindsight.errors import require
from hindsight.files.records import read_record
from hindsight.merging.hub_push import HubOptions, check_targets, push_merges
from hindsight.merging.kinship import check_kinship, measure_kinship
from hindsight.merging.merge import MergeOptions, merge_checkpoints
from hindsight.merging.mergekit import read_mergekit
from hindsight.merging.plan import plan_merge
from hindsight.merging.report import REPORT_FILE, relative_distance
from hindsight.merging.scaled_adapters import scale_adapter
from hindsight.settings import Settings, run_script

# fmt: off
BASE_MODEL = "lab/models/base"           # folder or Hub name; the paper: meta-llama/Llama-3.1-8B
FINETUNED_MODEL = "lab/models/instruct"  # also a LoRA adapter; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
ALPHAS = [0.7]                           # 0: the base, 1: the fine-tuned model; the paper: 0.7 and 0.9
ALPHA_OF = []                            # other alphas for parts, such as layers.0-7:0.3 mlp:0.9; see docs/merging.md
EXTRAPOLATE = False                      # allow alphas beyond [0, 1]
ALLOW_UNRELATED = False                  # merge even a base that the fine-tuned model cannot come from
METHOD = "lerp"                          # lerp or slerp; the paper: lerp, earlier slerp
OUTPUT_DIR = "runs/lab/merged"           # gets one folder alpha_A per alpha
MERGEKIT = ""                            # mergekit's YAML file, in place of the two models, ALPHAS, ALPHA_OF and METHOD

AS_ADAPTERS = False        # write a LoRA adapter per alpha instead of a checkpoint, if FINETUNED_MODEL is one
CONFIG_FROM = "finetuned"  # the model that gives config, tokenizer, dtypes and vocabulary: finetuned or base
MAX_SHARD_GB = 5.0         # largest file of weights, in 10^9 bytes
WORKERS = 0                # computing threads, at most 8; 0: one fewer than cores
DRY_RUN = False            # only check the two models and show how far apart they are by layer

PUSH_TO_HUB = ""           # repository of the Hub to upload to, such as name/model or, for one alpha, name/model@main
HUB_LAYOUT = "revisions"   # revisions: name/model@alpha_A, a branch per alpha; repositories: name/model-alpha_A
HUB_PRIVATE = True         # new repositories are private; those that exist stay as they are
# fmt: on


def main(settings: Settings) -> int:
    base, finetuned, options = settings.base_model, settings.finetuned_model, settings.pick(MergeOptions)
    if settings.mergekit:
        read = read_mergekit(Path(settings.mergekit), settings.extrapolate)
        base, finetuned, parts = read.base, read.finetuned, [str(part) for part in read.rule.parts]
        options = replace(options, alphas=[read.rule.alpha], alpha_of=parts, method=read.method)
        print(f"{settings.mergekit}: {read.method} of {base} (0) and {finetuned} (1), alpha {read.rule}")
    if settings.dry_run:
        return show_distances(base, finetuned, options)
    require(settings.output_dir != "", "OUTPUT_DIR is empty: name the folder of the merges")
    output_dir, hub = Path(settings.output_dir), settings.pick(HubOptions)
    targets = hub.targets(options.rules) if hub.push_to_hub else []
    check_targets(targets)
    write = write_adapters if settings.as_adapters else write_merges
    folders = write(base, finetuned, output_dir, options)
    if targets:
        push_merges(folders, targets, say=print)
    return 0


def write_merges(base: str, finetuned: str, output_dir: Path, options: MergeOptions) -> list[Path]:
    """Writes a checkpoint per alpha, and prints how far apart the two models are."""
    with tqdm(unit="B", unit_scale=True, desc="read", disable=None) as bar:

        def progress(size: int, total: int) -> None:
            bar.total = total
            bar.update(size)

        folders = merge_checkpoints(base, finetuned, output_dir, options, say=bar.write, progress=progress)
    report = read_record(output_dir / REPORT_FILE)
    print(f"{', '.join(map(str, folders))}: {options.method}, {report['parameters']:,} parameters")
    distance, line = report["relative_distance"], report["slerp_took_the_line"]
    share = "infinitely many times" if distance is None else f"{distance:.3g} of"
    print(f"distance between the two models: {share} the base's norm; {REPORT_FILE} lists every tensor")
    if options.method == "slerp":
        print(f"SLERP took the line for {line['tensors']} tensors, {line['parameters']:,} parameters, without an arc")
    return folders


def write_adapters(base: str, adapter: str, output_dir: Path, options: MergeOptions) -> list[Path]:
    """Writes an adapter per alpha, and prints the command that serves them all."""
    require(options.method == "lerp", "AS_ADAPTERS writes points of the line: METHOD has to be lerp")
    folders, command = scale_adapter(base, adapter, output_dir, options.rules, say=print)
    print(f"{', '.join(map(str, folders))}: LoRA adapters; one server answers for all of them:\n{command}")
    return folders


def show_distances(base: str, finetuned: str, options: MergeOptions) -> int:
    """Runs every check that precedes a merge, and prints the distances by layer. Raises UserError as a merge does."""
    plan = plan_merge(base, finetuned, options.config_from)
    for rule in options.rules:
        rule.require_used(pair.name for pair in plan.pairs)
    print("".join(f"note: {note}\n" for note in plan.notes), end="")
    kinship = measure_kinship(plan.pairs)
    print("layer  distance / norm of the base  cosine")
    for layer, comparison in kinship.by_layer.items():
        print(f"{layer:5}  {relative_distance(comparison):27.4f}  {comparison.cosine:6.4f}")
    print(
        f"median {kinship.distance:27.4f}  {kinship.cosine:6.4f}"
        if kinship.cosine is not None
        else "too few weights to judge"
    )
    for sentence in check_kinship(plan, options.allow_unrelated):
        print(f"note: {sentence}")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
