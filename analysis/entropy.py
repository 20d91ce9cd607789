"""Measures next-token entropy along existing answers, in nats per token: by alpha, and by position in the answer.

Every checkpoint reads the same answers, from a run folder or a file. Models between BASE_MODEL and FINETUNED_MODEL are
merged in memory, with the weights that merge_models.py would write. All of them, including alpha 0, read with the
fine-tuned model's tokenizer and chat template. Other CHECKPOINTS read with their own; BASE_CHECKPOINTS read step 1a's
transcript instead of a chat. A prompt that was sent as text is read as it was sent. The token that ends an answer is
left out.

Writes OUTPUT.json after each checkpoint, so a killed run resumes with the missing ones, and a picture. Means are over
all tokens; their 95 % intervals are by bootstrap over problems.

    python analysis/entropy.py --input_dir runs/lab/instruct --alphas 0 0.5 1
    python analysis/entropy.py --input_dir texts.jsonl --alphas --checkpoints Qwen/Qwen3-0.6B Qwen/Qwen3-1.7B
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tqdm import tqdm

from analysis.measures.entropy_summary import difference, summarise
from analysis.reading.prompts_and_answers import KEYS, choose_answers
from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import records
from hindsight.pass_at_k.drawing import require_output, suffixes_of
from hindsight.pass_at_k.labels import describe_run
from hindsight.settings import Settings, run_script

# fmt: off
BASE_MODEL = "lab/models/base"           # folder or Hub name: alpha 0
FINETUNED_MODEL = "lab/models/instruct"  # folder or Hub name: alpha 1, and the tokenizer and chat template of all
ALPHAS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]  # merged in memory, one after another; may be empty
METHOD = "lerp"                          # lerp or slerp
CHECKPOINTS = []                         # other checkpoints, folders or Hub names; merges are plotted by their alpha
BASE_CHECKPOINTS = []                    # other checkpoints that read base models' transcripts instead of chats

INPUT_DIR = "runs/lab/instruct"  # run folder, or .jsonl: {"prompt": text or messages, "generated_text": text}
OUTPUT = "runs/lab/entropy"      # the path without .json, .pdf and .png
FORMATS = ["pdf", "png"]         # pictures: pdf, png, svg

MAX_ANSWERS = 200     # answers to read, chosen at random; 0: all
MAX_TOKENS = 0        # longest prompt and answer together, in tokens; the rest is cut; 0: the checkpoint's context
BATCH_TOKENS = 16384  # tokens per batch, with prompts and padding; fewer need less memory
BIN = 10              # tokens per point of the picture; for long answers 200
DEVICE = ""           # cpu, cuda, cuda:1; empty: cuda if available
SEED = 0              # for the choice of answers
# fmt: on

Record = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """The answers to read, and the files to write."""

    input_dir: str
    max_answers: int
    seed: int
    output: str
    formats: tuple[str, ...]

    def __post_init__(self) -> None:
        require(self.max_answers >= 0, "MAX_ANSWERS is at least 0")
        require_output(self.output)
        suffixes_of(self.formats)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints that read: the alphas of a merge, other checkpoints, and base checkpoints."""

    base_model: str
    finetuned_model: str
    alphas: tuple[float, ...]
    method: str
    checkpoints: tuple[str, ...]
    base_checkpoints: tuple[str, ...]

    def __post_init__(self) -> None:
        some = self.alphas or self.checkpoints or self.base_checkpoints
        require(bool(some), "give at least one of --alphas, --checkpoints and --base_checkpoints")
        outside = [alpha for alpha in self.alphas if not 0 <= alpha <= 1]
        require(not outside, f"ALPHAS lie in [0, 1], not {outside}")


@dataclass(frozen=True)
class Reading:
    """How the checkpoints read: tokens per answer and per batch, tokens per point of the picture, the device."""

    max_tokens: int
    batch_tokens: int
    bin: int
    device: str

    def __post_init__(self) -> None:
        require(min(self.batch_tokens, self.bin) > 0, "BATCH_TOKENS and BIN are at least 1")
        require(self.max_tokens >= 0, "MAX_TOKENS is at least 0")


@dataclass(frozen=True)
class Reader:
    """A checkpoint that reads: `source` as for `load_checkpoint`; `alpha` is None if it is not a merge."""

    label: str
    source: str | tuple
    alpha: float | None
    transcript: bool = False


def list_readers(options: Checkpoints) -> list[Reader]:
    """The checkpoints that read, in order. Raises UserError for one that is missing or cannot be merged."""
    from hindsight.merging.arithmetic import METHODS
    from hindsight.merging.plan import plan_merge

    require(options.method in METHODS, f"METHOD is {' or '.join(METHODS)}, not {options.method!r}")
    readers, pair = [], (options.base_model, options.finetuned_model)
    if options.alphas:
        plan = plan_merge(*pair)
        size = sum(each.leading.size for each in plan.pairs)
        print(f"merging in memory, {size / 1e9:.3g} GB per alpha, one after another; no merged weights are written")
        print("".join(f"note: {note}\n" for note in plan.notes), end="")
    for alpha in sorted(set(options.alphas)):
        readers.append(Reader(f"alpha {alpha:.12g}", (*pair, alpha, options.method), alpha))
    others = [(name, False) for name in options.checkpoints] + [(name, True) for name in options.base_checkpoints]
    ends = [Path(name).name for name in {name for name, _ in others}]
    for name, transcript in dict.fromkeys(others):
        label = name if ends.count(Path(name).name) > 1 else Path(name).name
        readers.append(Reader(label + ", transcript" * transcript, name, alpha_of(name), transcript))
    return readers


def alpha_of(name: str) -> float | None:
    """The alpha that merge_models.py recorded in a checkpoint; None for another checkpoint, or several alphas."""
    from hindsight.merging.checkpoints import resolve_checkpoint
    from hindsight.merging.report import MERGE_FILE

    made = resolve_checkpoint(name) / MERGE_FILE
    try:
        alpha = records.read_record(made, ("alpha",))["alpha"] if made.exists() else None
        return None if isinstance(alpha, dict) else alpha
    except BrokenFile as error:
        raise UserError(str(error)) from None


def identity(reader: Reader, answers: Sequence[Record], reading: Reading) -> Record:
    """The facts that must be equal to reuse a reading: texts, checkpoints (file sizes and times), settings."""
    from hindsight.merging.checkpoints import resolve_checkpoint

    names = [reader.source] if isinstance(reader.source, str) else reader.source[:2]
    texts = json.dumps([[answer[key] for key in KEYS] for answer in answers])
    return {
        "source": reader.source if isinstance(reader.source, str) else list(reader.source),
        "transcript": reader.transcript,
        "files": {
            name: sorted([file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in folder.glob("*.*"))
            for name, folder in zip(names, map(resolve_checkpoint, names), strict=True)
        },
        "texts": "sha256:" + hashlib.sha256(texts.encode()).hexdigest(),
        **asdict(reading),
    }


def read_answers(reader: Reader, answers: Sequence[Record], reading: Reading) -> tuple[list[np.ndarray], int]:
    """The entropies along each answer by one checkpoint, and how many answers were cut."""
    import torch

    from analysis.measures.next_token_entropy import answer_entropies, context_and_answer, load_checkpoint

    device = reading.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = load_checkpoint(reader.source, device)
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = reading.max_tokens or own or sys.maxsize
    whole = [context_and_answer(answer, tokenizer, reader.transcript) for answer in answers]
    pairs = [(context, tokens[: max(longest - len(context), 0)]) for context, tokens in whole]
    with tqdm(total=len(pairs), unit="answer", desc=reader.label, disable=None) as bar:
        found = answer_entropies(model, pairs, reading.batch_tokens, bar.update)
    return found, sum(pair != before for pair, before in zip(pairs, whole, strict=True))


def read_done(path: Path) -> list[Record]:
    """The summaries of an earlier run. Raises UserError if another script wrote the file."""
    if not path.exists():
        return []
    try:
        return records.read_record(path, ("unit", "checkpoints"))["checkpoints"]
    except BrokenFile as error:
        raise UserError(f"{error}: this script did not write it; give another --output, or delete it") from None


def read_all(
    readers: Sequence[Reader], answers: Sequence[Record], reading: Reading, path: Path, about: Record
) -> list[Record]:
    """The summary of each checkpoint, from this or an earlier run; writes the file `path` after each."""
    wanted = {reader.label: identity(reader, answers, reading) for reader in readers}
    done = {each["label"]: each for each in read_done(path) if wanted.get(str(each.get("label"))) == each.get("read")}
    if done:
        print(f"{path} has {', '.join(done)} already")
    path.parent.mkdir(parents=True, exist_ok=True)
    for reader in readers:
        if reader.label not in done:
            entropies, cut = read_answers(reader, answers, reading)
            summary = summarise(reader.label, answers, entropies, reading.bin)
            facts = {"alpha": reader.alpha, "cut_answers": cut, "read": wanted[reader.label]}
            done[reader.label] = {"label": reader.label, **facts, **summary}
        summaries = [done[each.label] for each in readers if each.label in done]
        records.write_json(path, {**about, "checkpoints": summaries})
    return summaries


def compare(readers: Sequence[Reader], summaries: Sequence[Record]) -> list[Record]:
    """The difference between each merged alpha and the one before, and between the last and the first."""
    merged = [summary for reader, summary in zip(readers, summaries, strict=True) if isinstance(reader.source, tuple)]
    pairs = list(zip(merged[1:], merged, strict=False))
    if len(pairs) > 1:
        pairs.append((merged[-1], merged[0]))
    return [difference(one, other) for one, other in pairs]


def table(summaries: Sequence[Record], differences: Sequence[Record]) -> str:
    """A line per checkpoint, and the difference between the last alpha and the first."""
    width = max(len(summary["label"]) for summary in summaries)
    lines = [
        f"{each['label']:{width}}  {each['mean']:.4f} [{each['low']:.4f}, {each['high']:.4f}] nats per token, "
        f"{each['answers']} answers, {each['tokens']} tokens, {each['cut_answers']} answers cut"
        for each in summaries
    ]
    lines += [
        f"{each['one']} minus {each['other']}: {each['mean']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}]"
        for each in differences[-1:]
    ]
    return "\n".join(lines)


def main(settings: Settings) -> int:
    options, reading, checkpoints = settings.pick(Options), settings.pick(Reading), settings.pick(Checkpoints)
    broken: list[str] = []
    texts, path = Path(options.input_dir), Path(f"{options.output}.json")
    answers = choose_answers(texts, options.max_answers, options.seed, broken)
    run = describe_run(texts)[0] if texts.is_dir() else texts.name
    read = f"{len(answers)} answers of {run} to {len({answer['question_id'] for answer in answers})} problems"
    print(f"read {read} ({texts})")
    readers = list_readers(checkpoints)
    about = {"settings": dict(settings), "unit": "nats per token", "read": read}
    summaries = read_all(readers, answers, reading, path, about)
    differences = compare(readers, summaries)
    records.write_json(path, {**about, "checkpoints": summaries, "differences": differences})
    from analysis.display.entropy_figure import save_summary  # here, so that bad input is reported before a slow import

    suffixes = suffixes_of(options.formats)
    save_summary(summaries, reading.bin, read, Path(options.output), suffixes)
    print("\n".join([table(summaries, differences), *broken]))
    print(f"picture: {', '.join(options.output + suffix for suffix in suffixes)}; numbers: {path}")
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
