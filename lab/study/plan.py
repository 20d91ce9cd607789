"""The runs of the study: a setting with a training seed, its folder, its models, and how to sample it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hindsight.errors import require
from hindsight.files.records import read_record
from hindsight.pipeline import SamplingRun, ServedModel
from hindsight.servers.vllm_process import ServeOptions, divide_threads
from lab.study.measure import MEASURED, Model
from lab.study.settings_grid import Setting, list_settings

# In bfloat16 two tokens are often equally likely, and the rest of a batch decides between them; in float32 every
# processor gives the same answers.
DTYPE = "float32"


@dataclass(frozen=True)
class StudyOptions:
    """Settings of `lab.study.reproduce`, its folders as paths, and the number of problems that they select."""

    output: Path
    models: Path
    problems: str
    split: str
    end_idx: int
    num_samples: int
    max_tokens: int
    concurrency: int
    lanes: int
    problem_count: int

    @property
    def answers(self) -> int:
        """The answers of each run."""
        return self.problem_count * self.num_samples


@dataclass(frozen=True)
class StudyRun:
    """One setting with the models of one training seed."""

    seed: int
    setting: Setting
    options: StudyOptions

    @property
    def folder(self) -> Path:
        return self.options.output / f"seed_{self.seed}" / self.setting.name

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def models(self) -> Path:
        """The folder of the seed's base and instruct model."""
        return self.options.models if self.seed == 0 else self.options.output / "models" / f"seed_{self.seed}"

    @property
    def early_output(self) -> Path:
        """The output folder of `lab.training.train_models` for a shorter fine-tuning."""
        return self.options.output / "models" / f"early_{self.setting.steps}"

    @property
    def early_models(self) -> Path:
        """The folder of the shorter fine-tuning's base and instruct model."""
        return self.early_output / f"seed_{self.seed}" if self.seed else self.early_output

    @property
    def answering_model(self) -> Model | None:
        """The model that wrote the answers; None for switching, where two models did."""
        setting = self.setting
        if setting.kind == "switching":
            return None
        if setting.steps:
            return self.early_models / "instruct"
        if setting.served == ("parents",):
            return self.models / setting.parent
        return (self.models / "base", self.models / "instruct", setting.alpha, setting.method)

    def served_models(self) -> list[ServedModel]:
        """The models to serve: the base and the instruct model, or one model, merged while it loads, with a dial."""
        setting, merge = self.setting, None
        if setting.served[0] == "merge":
            merge = {"base": str(self.models / "base"), "alpha": setting.alpha, "method": setting.method}
        threads = divide_threads(self.options.lanes)
        options = ServeOptions(max_model_len=512, dtype=DTYPE, threads=threads, merge=merge)
        if setting.served == ("parents",):
            return [ServedModel(f"lab-{name}", self.models / name, options) for name in ("base", "instruct")]
        models = self.early_models if setting.steps else self.models
        return [ServedModel(setting.server_name, models / "instruct", options)]

    def sampling_run(self) -> SamplingRun:
        """Step 1a, or 1b for switching. A base model in chat is prompted as an instruct model is."""
        options, setting, dialled = self.options, self.setting, None
        flags = ["--problems", options.problems, "--split", options.split, "--end_idx", str(options.end_idx)]
        flags += ["--num_samples", str(options.num_samples), "--concurrency", str(options.concurrency)]
        flags += ["--server_deadline", "60", "--base_top_p", "1", "--instruct_top_p", "1"]
        flags += ["--base_temperature", str(setting.temperature), "--instruct_temperature", str(setting.temperature)]
        if setting.kind == "switching":
            script, (k, p) = "switching_inference.py", setting.turns
            flags += ["--k", k, "--p", p, "--total_new_tokens", str(options.max_tokens)]
            models = {"--base_model_urls": "lab-base", "--instruct_model_urls": "lab-instruct"}
        else:
            script, prompt = "single_model_inference.py", "base" if setting.kind == "base" else "instruct"
            flags += ["--max_tokens", str(options.max_tokens)]
            flags += ["--model", prompt, f"--{prompt}_model", setting.server_name]
            models = {"--base_urls": setting.server_name}
            if setting.served[0] == "merge":
                flags += ["--merged_from", *(str(self.models / name) for name in ("base", "instruct"))]
                flags += [str(setting.alpha)]
                dialled = setting.alpha
        counts = options.problem_count, options.num_samples
        return SamplingRun(self.folder, *counts, script, tuple(flags), models, self.log, dialled)

    def is_measured(self) -> bool:
        """Whether all wanted answers are measured; an earlier run may have measured fewer."""
        path = self.folder / MEASURED
        rows = read_record(path, ("problems",))["problems"] if path.exists() else []
        return len(rows) == self.options.problem_count and sum(row["samples"] for row in rows) == self.options.answers


def plan_runs(
    options: StudyOptions, everything: bool, seeds: Sequence[int], only: Sequence[str] = ()
) -> list[StudyRun]:
    """The runs of all settings or the main ones, per seed; `only` limits them to these names.

    Raises UserError for a name that is no setting.
    """
    settings = list_settings(everything)
    names = [setting.name for setting in settings]
    unknown = [name for name in only if name not in names]
    require(not unknown, f"there is no setting {', '.join(unknown)} among {', '.join(names)}")
    chosen = [setting for setting in settings if not only or setting.name in only]
    return [StudyRun(seed, setting, options) for seed in seeds for setting in chosen]
