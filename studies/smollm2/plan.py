"""The runs of the study: each is a setting, a training seed, a split of problems, and how they are sampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.files.records import read_record
from hindsight.pipeline import ROOT, SamplingRun, ServedModel
from hindsight.servers.vllm_process import ServeOptions, divide_threads
from studies.smollm2.measure import Model
from studies.smollm2.results import Setting

START, FINETUNED = "start", "finetuned"  # names on the servers
STYLES = {"chat": "evalplus", "shots": "few_shot"}
MEASURED = "measured.json"
MAY_DIFFER = ("--concurrency", "--num_samples")  # flags of step 1 that change no answer


@dataclass(frozen=True)
class StudyOptions:
    """Settings of `studies.smollm2.study`, its output folder as a path."""

    output: Path
    start: str
    temperature: float
    samples: int
    max_tokens: int
    top_p: float
    concurrency: int
    lanes: int
    dtype: str
    method: str

    def problems(self, part: str) -> Path:
        """The file of a part of the problems."""
        return self.output / "problems" / f"{part}.jsonl"


@dataclass(frozen=True)
class StudyRun:
    """A setting on a split. checkpoint: the fine-tuned model or adapter; None for the start model alone."""

    split: str
    setting: Setting
    seed: int | None
    checkpoint: Path | None
    options: StudyOptions
    problem_count: int

    @property
    def folder(self) -> Path:
        seed = "start" if self.seed is None else f"seed_{self.seed}"
        return self.options.output / self.split / seed / self.setting.name

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def measured(self) -> Path:
        return self.folder / MEASURED

    @property
    def title(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.split}, {self.setting.label}{seed}"

    @property
    def served(self) -> tuple[str, Path | None]:
        """Identifies the servers: runs with equal values share them."""
        kind = self.setting.kind
        return (kind if kind in ("start", "switching") else "dial"), self.checkpoint

    @property
    def alpha(self) -> float:
        """The fine-tuned model's share in the model that answers."""
        alpha = 0.0 if self.setting.kind == "start" else 1.0
        return alpha if self.setting.alpha is None else self.setting.alpha

    @property
    def model(self) -> Model | None:
        """The model that answers, for its entropies; None for switching, where two models answer."""
        if self.setting.kind == "switching":
            return None
        options = self.options
        return (options.start, self.checkpoint, self.alpha, options.method) if self.checkpoint else options.start

    @property
    def made_by(self) -> list[str]:
        """What the answers depend on: the server's settings, and step 1's flags without those of MAY_DIFFER."""
        run, options = self.sampling_run(), self.options
        skipped = {place + more for place, word in enumerate(run.flags) if word in MAY_DIFFER for more in (0, 1)}
        kept = [word for place, word in enumerate(run.flags) if place not in skipped]
        return [run.script, f"dtype {options.dtype}", f"method {options.method}", *kept]

    def is_measured(self) -> bool:
        """Whether all wanted answers are measured; an earlier call may have measured fewer.

        Raises UserError if they were made with other settings.
        """
        if not (ROOT / self.measured).exists():
            return False
        measured = read_record(ROOT / self.measured, ("counts", "made_by"))
        made_by = measured["made_by"]
        if made_by != self.made_by:
            differing = sorted(set(made_by) ^ set(self.made_by))
            raise UserError(
                f"{self.folder} was made with other settings ({', '.join(differing)}): give another OUTPUT_DIR"
            )
        return measured["counts"]["samples"] == [self.options.samples] * self.problem_count

    def counts(self) -> dict[str, Any]:
        """What was measured. Raises BrokenFile when it was not."""
        return read_record(ROOT / self.measured, ("counts",))["counts"]

    def served_models(self) -> list[ServedModel]:
        """The start model, or a server with the dial, or both for switching."""
        options = self.options
        threads = divide_threads(options.lanes * (2 if self.served[0] == "switching" else 1))
        common = {"max_model_len": 2048, "dtype": options.dtype, "threads": threads}
        start = ServedModel(START, options.start, ServeOptions(**common))
        if self.checkpoint is None:
            return [start]
        merge = {"base": options.start, "alpha": self.alpha, "method": options.method}
        dialled = ServedModel(FINETUNED, self.checkpoint, ServeOptions(**common, merge=merge))
        return [start, dialled] if self.served[0] == "switching" else [dialled]

    def sampling_run(self) -> SamplingRun:
        """Step 1a; for switching step 1b."""
        options, setting, dialled = self.options, self.setting, None
        flags = ["--problems", str(options.problems(self.split)), "--num_samples", str(options.samples)]
        flags += ["--concurrency", str(options.concurrency), "--prompt_style", STYLES[setting.prompt]]
        flags += [f"--base_top_p={options.top_p:g}", f"--instruct_top_p={options.top_p:g}"]
        flags += [f"--base_temperature={setting.temperature:g}", f"--instruct_temperature={setting.temperature:g}"]
        if setting.turns:
            script, (k, p) = "switching_inference.py", setting.turns
            flags += ["--k", k, "--p", p, "--total_new_tokens", str(options.max_tokens), "--base_in_chat"]
            flags += ["--base_model", START, "--instruct_model", FINETUNED]
            models = {"--base_model_urls": START, "--instruct_model_urls": FINETUNED}
        else:
            script, role = "single_model_inference.py", "base" if setting.prompt == "shots" else "instruct"
            name = START if self.checkpoint is None else FINETUNED
            flags += ["--max_tokens", str(options.max_tokens), "--model", role, f"--{role}_model", name]
            if role == "base":
                flags += ["--examples", str(options.problems("examples"))]
            models = {"--base_urls": name}
            if self.checkpoint is not None:
                dialled = self.alpha
                flags += ["--merged_from", options.start, str(self.checkpoint), f"{dialled:g}"]
        if self.seed:  # with the same seeds, fine-tuned models that differ little would write the same answers
            flags += ["--seed", str(self.seed)]
        counts = self.problem_count, options.samples
        return SamplingRun(self.folder, *counts, script, tuple(flags), models, self.log, dialled)


def start_setting(prompt: str, temperature: float) -> Setting:
    """The start model, asked in chat or with examples."""
    name = f"start_{prompt}_T{temperature:g}"
    return Setting(name, "start", "", 0.0, prompt, temperature, None, None)


def finetuned_setting(training: str, temperature: float) -> Setting:
    """The fine-tuned model."""
    name = f"{training}_T{temperature:g}"
    return Setting(name, "finetuned", training, 1.0, "chat", temperature, None, None)


def merge_setting(training: str, alpha: float, temperature: float) -> Setting:
    """A merge; alpha 1 is the fine-tuned model."""
    if alpha == 1:
        return finetuned_setting(training, temperature)
    return Setting(f"{training}_{alpha:g}", "merge", training, alpha, "chat", temperature, None, None)


def early_setting(training: str, rate: float, epochs: float, temperature: float) -> Setting:
    """A checkpoint of a fine-tuning."""
    name = f"{training}_{rate:g}_epochs_{epochs:g}_T{temperature:g}"
    return Setting(name, "early", training, 1.0, "chat", temperature, epochs, None)


def switching_setting(training: str, turns: Sequence[str], temperature: float) -> Setting:
    """Switching. turns: how many tokens the start model and the fine-tuned model write before the other continues."""
    k, p = turns
    return Setting(f"{training}_switching_{k}_{p}", "switching", training, None, "chat", temperature, None, (k, p))
