"""Step 0: merges a fine-tuned model back towards its base: one checkpoint for each alpha.

    merged = (1 - alpha) * base + alpha * finetuned

Reads two checkpoints (folders of safetensors, or Hub names); writes OUTPUT_DIR/alpha_A for each alpha A, with the
fine-tuned model's config and tokenizer, ready to be served. Checkpoints that are there are not made again.

    python merge_models.py --alphas 0.7 0.9 --output_dir runs/lab/merged
"""

from pathlib import Path

from tqdm import tqdm

from hindsight.merging import MERGE_FILE, METHODS, merge_checkpoints, resolve_checkpoint, tensor_files
from hindsight.records import read_record
from hindsight.settings import Settings, UserError, require, run_script

BASE_MODEL = "lab/models/base"  # folder or Hub name; the paper: meta-llama/Llama-3.1-8B
FINETUNED_MODEL = "lab/models/instruct"  # folder or Hub name; the paper: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
ALPHAS = [0.7]                  # 0: the base, 1: the fine-tuned model; the paper: 0.7 and 0.9
METHOD = "lerp"                 # lerp or slerp; the paper: lerp, earlier slerp
OUTPUT_DIR = "runs/lab/merged"  # gets a folder alpha_A for each alpha


def is_made(folder: Path, asked: dict[str, str | float]) -> bool:
    """Whether the folder holds this very merge. Raises UserError when it holds another one."""
    if not folder.exists():
        return False
    require((folder / MERGE_FILE).exists(), f"{folder} is there and was not made by this script; give another folder")
    made = read_record(folder / MERGE_FILE)
    differing = [f"{key} is {made.get(key)!r}, not {value!r}" for key, value in asked.items() if made.get(key) != value]
    if differing:
        raise UserError(f"{folder} holds another merge ({'; '.join(differing)}); give another --output_dir")
    return True


def main(settings: Settings) -> int:
    require(settings.method in METHODS, f"METHOD is {' or '.join(METHODS)}, not {settings.method!r}")
    require(all(0 <= alpha <= 1 for alpha in settings.alphas), f"ALPHAS lie in [0, 1], not {settings.alphas}")
    base, finetuned = resolve_checkpoint(settings.base_model), resolve_checkpoint(settings.finetuned_model)
    for alpha in settings.alphas:
        folder = Path(settings.output_dir) / f"alpha_{alpha:g}"
        merge = {"base": str(base), "finetuned": str(finetuned), "alpha": alpha, "method": settings.method}
        if is_made(folder, merge):
            print(f"{folder} is there")
            continue
        tensors = merge_checkpoints(base, finetuned, folder, alpha, settings.method)
        for _ in tqdm(tensors, total=len(tensor_files(finetuned)), unit="tensor", desc=str(folder)):
            pass
        print(f"{folder}: {settings.method} at alpha {alpha:g}")
    return 0


if __name__ == "__main__":
    run_script(main, globals())
