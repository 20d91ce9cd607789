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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
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
        """What tells it from others of its kind and training: alpha, epochs, turns or temperature."""
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
    """Reads the results. Raises UserError for a file that is missing, is no JSON, or is not as described above."""
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not whole JSON ({error})") from None
    try:
        return make_results(content)
    except UserError as error:
        raise UserError(f"{path} holds no results of the study: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def make_results(content: Any) -> Results:
    """The results from a file's JSON. Raises UserError with what is wrong in it."""
    keys = ("about", "chosen", "problems", "runs")
    require(isinstance(content, dict) and all(key in content for key in keys), f"expected the keys {', '.join(keys)}")
    for key in keys:
        require(isinstance(content[key], list if key == "runs" else dict), f"{key!r} has the wrong type")
    problems = {split: tuple(ids) for split, ids in content["problems"].items() if isinstance(ids, list)}
    require(len(problems) == len(content["problems"]), "each split of 'problems' must be a list of question ids")
    for split, ids in problems.items():
        proper = all(type(each) in (int, str) for each in ids)
        require(proper and len(set(ids)) == len(ids) > 0, f"the {split} problems must be different question ids")
    runs = tuple(_read_run(number, run, problems) for number, run in enumerate(content["runs"], 1))
    _check_names(runs)
    settings = content["chosen"].get("settings", {})
    require(isinstance(settings, dict), "'settings' of 'chosen' must be an object")
    return Results(content["about"], content["chosen"], problems, runs)


def _read_run(number: int, record: Any, problems: Mapping[str, tuple]) -> Run:
    """A run from its JSON, the `number`th of the file."""
    fields = [field.name for field in dataclasses.fields(Setting)]
    known = {"split", "seed", "counts", *fields}
    require(isinstance(record, dict), f"run {number} is no object")
    wrong = sorted(known ^ record.keys())
    require(not wrong, f"run {number} lacks, or should not have, {', '.join(wrong)}")
    _check_setting(f"run {number}", record)
    where = f"run {number} ({record['split']} {record['name']}, seed {record['seed']})"
    require(record["split"] in problems, f"{where} is of a split without problems")
    counts = _read_counts(where, record["counts"], len(problems[record["split"]]))
    values = {name: record[name] for name in fields}
    turns = None if record["turns"] is None else tuple(map(str, record["turns"]))
    return Run(record["split"], Setting(**{**values, "turns": turns}), record["seed"], counts)


def _check_setting(where: str, record: dict[str, Any]) -> None:
    """Raises UserError when a value that describes the setting has another type than it should."""
    for key in ("split", "name", "kind", "training", "prompt"):
        require(isinstance(record[key], str), f"{where}: {key!r} must be a text")
    kind = record["kind"]
    require(kind in KINDS, f"{where} is of an unknown kind {kind!r}")
    require(record["prompt"] in PROMPTS, f"{where} has an unknown prompt {record['prompt']!r}")
    trained = kind != "start"
    require(record["training"] in (TRAININGS if trained else ("",)), f"{where}: training {record['training']!r}")
    require(
        type(record["seed"]) is int or (not trained and record["seed"] is None), f"{where}: 'seed' must be a number"
    )
    numbers = {"temperature": True, "alpha": kind == "merge", "epochs": kind == "early"}
    for key, needed in numbers.items():
        proper = _is_number(record[key]) or (record[key] is None and not needed)
        require(proper, f"{where}: {key!r} must be a number, not {record[key]!r}")
    proper = isinstance(record["turns"], list) if kind == "switching" else record["turns"] is None
    require(proper, f"{where}: 'turns' must be a list in switching, else null")


def _read_counts(where: str, counts: Any, problems: int) -> Counts:
    """The counts of a run, checked. Raises UserError for unknown ones, and for impossible numbers."""
    require(isinstance(counts, dict) and all(key in counts for key in NEEDED), f"{where} lacks its counts")
    require(set(counts) <= set(COUNTED), f"{where} has unknown counts: {', '.join(sorted(set(counts) - set(COUNTED)))}")
    for key, values in counts.items():
        count = len(values) if isinstance(values, list) else 0
        require(count == problems, f"{where}: {key!r} must have {problems} numbers, one per problem, not {count}")
        known = [each for each in values if each is not None]
        proper = all(_is_number(each) and each >= 0 for each in known) and (len(known) == problems or key not in NEEDED)
        require(proper, f"{where}: {key!r} has something else than a count")
    for part, whole in AT_MOST:
        for one, all_ in zip(counts.get(part, ()), counts.get(whole, ()), strict=False):
            require(one is None or all_ is None or one <= all_, f"{where}: {part!r} exceeds {whole!r}, {one} of {all_}")
    return {key: tuple(values) for key, values in counts.items()}


def _check_names(runs: tuple[Run, ...]) -> None:
    """Raises UserError for a run that comes twice, and for a name with two settings."""
    seen: dict[str, Setting] = {}
    keys = set()
    for run in runs:
        name, key = run.setting.name, (run.split, run.setting.name, run.seed)
        require(key not in keys, f"{run.split} {name}, seed {run.seed}, comes twice")
        require(seen.setdefault(name, run.setting) == run.setting, f"{name} has two settings")
        keys.add(key)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
