"""Next-token entropy of checkpoints on the answers of a run, in nats a token.

Each checkpoint reads the same answers, each after the prompt that it was made with, and says before every token how
open it is about that token. Writes OUTPUT.json, with the mean of each checkpoint and its mean by position, and the
picture OUTPUT.png. The end of an answer, which is no text, is left out.

    python analysis/entropy.py --checkpoints lab/models/base runs/lab/merged/alpha_0.7 lab/models/instruct
"""

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script, and ours lie one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from analysis.figures import color_of, new_figure
from hindsight import records
from hindsight.settings import Settings, UserError, require, run_script

CHECKPOINTS = ["lab/models/base", "lab/models/instruct"]  # folders or Hub names
INPUT_DIR = "runs/lab/instruct"  # the run folder with the answers that are read
OUTPUT = "runs/lab/entropy"      # the files' name without .json and .png

MAX_ANSWERS = 200                # answers read, chosen at random; 0: all
MAX_TOKENS = 0                   # longest prompt and answer, in tokens, the rest is cut; 0: what a checkpoint takes
BATCH_SIZE = 8                   # answers read at once
BIN = 10                         # tokens averaged into one point of the picture
DEVICE = ""                      # cpu, cuda, cuda:1; empty: cuda where there is one
SEED = 0                         # of the choice of answers

KEYS = ("prompt", "generated_text", "metadata")
# The answers that a point of the picture rests on, at least
FEWEST = 5

Pair = tuple[list[int], list[int]]


def choose_answers(folder: Path, most: int, seed: int, broken: list[str]) -> list[dict[str, Any]]:
    """The records of up to `most` answers of a run, chosen at random. Raises UserError when none is whole."""
    files = records.require_files(folder, "sample")
    if most and most < len(files):
        chosen = set(random.Random(seed).sample(sorted(files), most))
        files = {key: path for key, path in files.items() if key in chosen}
    whole = [record for _, record in records.read_records(files, KEYS, broken)]
    if not whole:
        raise UserError(f"no answer of {folder} can be read; the first: {broken[0]}")
    return whole


def require_checkpoints(names: Sequence[str]) -> None:
    """Raises UserError when one of them is not there, before the first is read."""
    from hindsight.checkpoints import resolve_checkpoint  # loads torch

    for name in names:
        resolve_checkpoint(name)


def cut(pair: Pair, longest: int) -> Pair:
    """A pair of at most `longest` tokens: the end of the answer is cut off."""
    context, answer = pair
    return context, answer[: max(longest - len(context), 0)]


def read_answers(name: str, answers: list[dict[str, Any]], settings: Settings) -> tuple[list[np.ndarray], int]:
    """The entropies of each answer by one checkpoint, and how many answers were cut at its longest text."""
    import torch  # here, with all of transformers: bad input is to be said before the seconds that these take to load

    from analysis.next_token import answer_entropies, context_and_answer, load_checkpoint

    device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = load_checkpoint(name, device)
    longest = settings.max_tokens or getattr(model.config, "max_position_embeddings", None) or sys.maxsize
    whole = [context_and_answer(record, tokenizer) for record in answers]
    pairs = [cut(pair, longest) for pair in whole]
    order = sorted(range(len(pairs)), key=lambda number: len(pairs[number][0]) + len(pairs[number][1]))
    found: list[np.ndarray] = [np.empty(0)] * len(pairs)
    with tqdm(total=len(pairs), unit="answer", desc=name) as bar:
        for start in range(0, len(order), settings.batch_size):
            batch = [number for number in order[start : start + settings.batch_size] if pairs[number][1]]
            if batch:
                entropies = answer_entropies(model, [pairs[number] for number in batch])
                for number, values in zip(batch, entropies, strict=True):
                    found[number] = values
            bar.update(min(settings.batch_size, len(order) - start))
    return found, sum(pair != before for pair, before in zip(pairs, whole, strict=True))


def mean_by_position(entropies: list[np.ndarray], size: int, fewest: int) -> list[dict[str, float]]:
    """The mean over answers and `size` positions at a time, as long as `fewest` answers reach the bin."""
    points = []
    for start in range(0, max(map(len, entropies), default=0), size):
        parts = [values[start : start + size] for values in entropies if len(values) > start]
        if len(parts) < fewest:
            break
        together = np.concatenate(parts)
        points.append({"start": start, "mean": float(together.mean()), "answers": len(parts)})
    return points


def summarise(name: str, entropies: list[np.ndarray], cut_answers: int, size: int) -> dict[str, Any]:
    """What is written about one checkpoint; `mean` is over all tokens of all answers, in nats."""
    together = np.concatenate(entropies)
    if not len(together):
        raise UserError(f"no answer has a token within the longest text of {name}; give larger --max_tokens")
    return {
        "checkpoint": name,
        "mean": float(together.mean()),
        "tokens": len(together),
        "answers": sum(len(values) > 0 for values in entropies),
        "cut_answers": cut_answers,
        "by_position": mean_by_position(entropies, size, min(FEWEST, len(entropies))),
    }


def draw(summaries: list[dict[str, Any]], size: int) -> Figure:
    """Mean entropy by position in the answer, a line for each checkpoint."""
    figure, (axes,) = new_figure(6, 3.4)
    for number, summary in enumerate(summaries):
        positions = [point["start"] + size / 2 for point in summary["by_position"]]
        values = [point["mean"] for point in summary["by_position"]]
        name = Path(summary["checkpoint"]).name
        label = f"{name}: {summary['mean']:.3f} on average"
        axes.plot(positions, values, color=color_of(name, number), linewidth=1.4, label=label)
    axes.set(xlabel="position in the answer, tokens", ylabel="next-token entropy, nats", ylim=(0, None))
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False, fontsize="small")
    return figure


def main(settings: Settings) -> int:
    require(bool(settings.checkpoints), "give at least one checkpoint by --checkpoints")
    require(settings.batch_size > 0 and settings.bin > 0, "BATCH_SIZE and BIN are at least 1")
    broken: list[str] = []
    answers = choose_answers(Path(settings.input_dir), settings.max_answers, settings.seed, broken)
    require_checkpoints(settings.checkpoints)
    summaries = []
    for name in settings.checkpoints:
        entropies, cut_answers = read_answers(name, answers, settings)
        summaries.append(summarise(name, entropies, cut_answers, settings.bin))
    output = Path(settings.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(summaries, settings.bin).savefig(output.with_name(output.name + ".png"), dpi=200)
    content = {"settings": dict(settings), "unit": "nats", "checkpoints": summaries}
    records.write_json(output.with_name(output.name + ".json"), content)
    for summary in summaries:
        print(f"{summary['mean']:.4f} nats a token  {summary['checkpoint']}  ({summary['answers']} answers, "
              f"{summary['tokens']} tokens, {summary['cut_answers']} answers cut)")
    for sentence in broken:
        print(sentence)
    print(f"picture: {output}.png; numbers: {output}.json")
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
