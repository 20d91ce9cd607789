"""The study's results: the counts per problem of every run, in one file with one line per run.

    {"about": {"model": "...", "samples": 10, ...},
     "chosen": {"training": {...}, "settings": {"start": "start_shots_T0.5", "full": "full_T1", ...}},
     "problems": {"validation": [511, ...], "test": [11, ...]},
     "runs": [
    {"split": "test", "name": "full_0.4", "kind": "merge", "training": "full", "alpha": 0.4, ..., "counts": {...}},
    ...]}

A run is a setting (a model and how it is asked), a training seed, and its counts in the order of the split's problems.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.files.records import write_bytes

KINDS = ("start", "merge", "finetuned", "early", "switching")
PROMPTS = {"chat": "in chat", "shots": "three-shot"}
TRAININGS = {"full": "full", "lora": "LoRA"}
COUNTED = (
    "samples",
    "correct",  # pass base and plus tests
    "base_correct",
    "programs",  # answers with a program
    "distinct",  # different programs up to names and layout
    "vendi",  # the effective number of different programs
    "ended",  # answers that the model ended itself
    "tokens",  # of all answers
    "nats",  # the sum of next-token entropies along the first answer, None where not measured
    "entropy_tokens",  # the tokens of this sum
)
NEEDED = ("samples", "correct")  # without these there is nothing to report
AT_MOST = (  # the first is part of the second
    ("correct", "samples"),
    ("correct", "base_correct"),
    ("base_correct", "samples"),
    ("programs", "samples"),
    ("distinct", "programs"),
    ("ended", "samples"),
)
Counts = Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Setting:
    """A model and how it is asked.

    kind: one of KINDS. training: full or lora, "" for the start model. alpha: the fine-tuned model's share, None where
    nothing is merged. epochs: those of an early checkpoint. turns: tokens per turn of the start and of the fine-tuned
    model in switching.
    """

    name: str
    kind: str
    training: str
    alpha: float | None
    prompt: str
    temperature: float
    epochs: float | None
    turns: tuple[str, ...] | None

    @property
    def label(self) -> str:
        """Its name in tables."""
        training, asked = TRAININGS.get(self.training, ""), f"T {self.temperature:g}"
        if self.kind == "start":
            return f"start model {PROMPTS[self.prompt]}, {asked}"
        if self.kind == "finetuned":
            return f"fine-tuned ({training}), {asked}"
        if self.kind == "early":
            return f"stopped after {self.short} ({training}), {asked}"
        label = f"merged at {self.alpha or 0:g}" if self.kind == "merge" else f"switching {self.short}"
        return f"{label} ({training})"

    @property
    def short(self) -> str:
        """What distinguishes it from others of its kind and training: alpha, epochs, turns or temperature."""
        if self.kind == "early":
            return f"{self.epochs or 0:g} epoch{'' if self.epochs == 1 else 's'}"
        if self.kind == "switching":
            return "/".join(self.turns or ())
        return f"{self.alpha or 0:g}" if self.kind == "merge" else f"T {self.temperature:g}"


@dataclass(frozen=True)
class Run:
    """A setting's answers for one training seed; the start model has no seed (None). `counts` has some of COUNTED."""

    split: str
    setting: Setting
    seed: int | None
    counts: Counts


@dataclass(frozen=True)
class Results:
    """All runs. `problems` are the question ids of each split, in the order of the counts."""

    about: dict[str, Any]
    chosen: dict[str, Any]
    problems: dict[str, tuple[Any, ...]]
    runs: tuple[Run, ...]


def write_results(path: Path, results: Results) -> None:
    """Writes the results with one line per run."""
    head = {"about": results.about, "chosen": results.chosen, "problems": results.problems}
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in head.items()]
    runs = ",\n".join(json.dumps(_run_record(run), ensure_ascii=False, separators=(",", ":")) for run in results.runs)
    write_bytes(path, f'{{{"".join(lines)}"runs": [\n{runs}\n]}}\n'.encode())


def _run_record(run: Run) -> dict[str, Any]:
    return {"split": run.split, **dataclasses.asdict(run.setting), "seed": run.seed, "counts": dict(run.counts)}


def read_results(path: Path) -> Results:
    """Reads the results. Raises UserError for a file that is missing or is not as described above."""
    try:
        return make_results(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} holds no results of the study ({error!r})") from None


def make_results(content: dict[str, Any]) -> Results:
    """The results from a file's JSON. Raises ValueError for impossible counts, KeyError or TypeError otherwise."""
    problems = {split: tuple(ids) for split, ids in content["problems"].items()}
    runs = tuple(_read_run(record, problems) for record in content["runs"])
    keys = Counter((run.split, run.setting.name, run.seed) for run in runs)
    twice = [key for key, times in keys.items() if times > 1]
    if twice:
        raise ValueError(f"{twice[0]} occurs twice")
    return Results(content["about"], content["chosen"], problems, runs)


def _read_run(record: dict[str, Any], problems: Mapping[str, tuple]) -> Run:
    values = {field.name: record[field.name] for field in dataclasses.fields(Setting)}
    turns = None if record["turns"] is None else tuple(map(str, record["turns"]))
    counts = {key: tuple(values) for key, values in record["counts"].items()}
    run = Run(record["split"], Setting(**{**values, "turns": turns}), record["seed"], counts)
    where, length = f"{run.split} {run.setting.name}, seed {run.seed}", len(problems[run.split])
    if run.setting.kind not in KINDS or not set(NEEDED) <= set(counts) <= set(COUNTED):
        raise ValueError(f"{where} is of an unknown kind, or lacks or has unknown counts")
    for key, values in counts.items():
        if len(values) != length or any(value is not None and value < 0 for value in values):
            raise ValueError(f"{where}: {key!r} must have {length} counts, one per problem")
    for part, whole in AT_MOST:
        for one, all_ in zip(counts.get(part, ()), counts.get(whole, ()), strict=False):
            if one is not None and all_ is not None and one > all_:
                raise ValueError(f"{where}: {part!r} exceeds {whole!r}, {one} of {all_}")
    return run
