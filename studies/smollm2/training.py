"""The study's fine-tunings with LLaMA-Factory: full models or adapters, with a checkpoint every half epoch."""

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from hindsight.errors import UserError, require
from hindsight.pipeline import ROOT, run_command

CONFIGS = Path(__file__).parent.relative_to(ROOT)
DATASET = "references"
ROWS_PER_STEP = 8  # in both configurations


@dataclass(frozen=True)
class Training:
    """One fine-tuning: its kind (full or lora), learning rate, epochs and seed; its folder is in `models`."""

    kind: str
    rate: float
    epochs: float
    seed: int
    models: Path

    @property
    def folder(self) -> Path:
        return self.models / f"{self.kind}_{self.rate:g}_seed_{self.seed}"

    @property
    def name(self) -> str:
        return f"{self.kind}, rate {self.rate:g}, {self.epochs:g} epochs, seed {self.seed}"

    def is_finished(self) -> bool:
        """Whether it is done, for at least this many epochs."""
        return (ROOT / self.checkpoint(self.epochs)).exists()

    def checkpoint(self, epochs: float) -> Path:
        """The checkpoint after this many epochs, in steps of a half."""
        return self.folder / f"epochs_{epochs:g}"

    def make(self, start: str, data: Path, llamafactory: str, log: Path) -> None:
        """Trains from scratch. Raises UserError if LLaMA-Factory is missing or fails."""
        require(shutil.which(llamafactory) is not None, f"there is no {llamafactory}: run `make .venv-train/installed`")
        shutil.rmtree(ROOT / self.folder, ignore_errors=True)
        rows = json.loads((ROOT / data / f"{DATASET}.json").read_text(encoding="utf-8"))
        half_epoch = math.ceil(len(rows) / ROWS_PER_STEP / 2)  # steps, the same however long the training is
        keys = {
            "model_name_or_path": start,
            "dataset_dir": data,
            "learning_rate": self.rate,
            "max_steps": round(2 * self.epochs) * half_epoch,
            "save_steps": half_epoch,
            "seed": self.seed,
        }
        command = ["bash", "SkyThought/train/finetune.sh", str(CONFIGS / f"{self.kind}.yaml")]
        words = [f"{key}={value}" for key, value in keys.items()]
        run_command([*command, *words], log, {"LLAMAFACTORY": llamafactory, "OUTPUT": str(self.folder)})
        saved = sorted((ROOT / self.folder).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
        if len(saved) != round(2 * self.epochs):
            raise UserError(f"LLaMA-Factory left {len(saved)} checkpoints, not one a half epoch: see {log}")
        for number, checkpoint in enumerate(saved, 1):
            checkpoint.rename(ROOT / self.checkpoint(number / 2))
