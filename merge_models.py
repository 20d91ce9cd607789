"""Step 0: merges a fine-tuned model back towards its base: one checkpoint for each alpha.

    merged = (1 - alpha) * base + alpha * finetuned

Reads two checkpoints (folders of safetensors, or Hub names, also NAME@REVISION), each tensor once; writes
OUTPUT_DIR/alpha_A for each alpha A, ready to be served, and beside them merge_report.json and merge_report.png: how far
the two models are from each other. Checkpoints that are there are not made again; a run that was killed goes on.

    python merge_models.py --alphas 0.7 0.9 --output_dir runs/lab/merged
"""

from pathlib import Path

from tqdm import tqdm

from hindsight.files.records import read_record
from hindsight.merging.merge import merge_checkpoints
from hindsight.merging.report import REPORT_FILE
from hindsight.settings import Settings, run_script

# fmt: off
BASE_MODEL = "lab/models/base"           # folder or Hub name; the paper: meta-llama/Llama-3.1-8B
FINETUNED_MODEL = "lab/models/instruct"  # folder or Hub name; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
ALPHAS = [0.7]                           # 0: the base, 1: the fine-tuned model; the paper: 0.7 and 0.9
METHOD = "lerp"                          # lerp or slerp; the paper: lerp, earlier slerp
OUTPUT_DIR = "runs/lab/merged"           # gets a folder alpha_A for each alpha

CONFIG_FROM = "finetuned"  # whose config, tokenizer, dtypes and vocabulary they get: finetuned or base
MAX_SHARD_GB = 5.0         # largest file of weights, in 10^9 bytes
WORKERS = 0                # threads that compute, at most 8; 0: one a core but one
# fmt: on


def main(settings: Settings) -> int:
    with tqdm(unit="B", unit_scale=True, desc="read", disable=None) as bar:

        def progress(size: int, total: int) -> None:
            bar.total = total
            bar.update(size)

        folders = merge_checkpoints(
            settings.base_model,
            settings.finetuned_model,
            settings.output_dir,
            settings.alphas,
            settings.method,
            settings.config_from,
            settings.max_shard_gb,
            settings.workers,
            say=bar.write,
            progress=progress,
        )
    report = read_record(Path(settings.output_dir) / REPORT_FILE)
    print(f"{', '.join(map(str, folders))}: {settings.method}, {report['parameters']:,} parameters")
    distance, line = report["relative_distance"], report["slerp_took_the_line"]
    share = "infinitely many times" if distance is None else f"{distance:.3g} of"
    print(f"the fine-tuned model is {share} the base's norm away from it; {REPORT_FILE} has every tensor")
    if settings.method == "slerp":
        print(f"no arc, so the line: {line['tensors']} tensors, {line['parameters']:,} parameters")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
