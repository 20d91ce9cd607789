"""Restores run folders from a dataset of push_run.py: the same files, byte for byte, for steps 2 to 5.

Reads a dataset from the Hub or from a folder. Writes OUTPUT_DIR/RUN for each run; a folder that already holds the same
files stays as it is.

    python analysis/pull_run.py --dataset me/lab-runs --output_dir runs/pulled
"""

import sys
from glob import escape
from pathlib import Path

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.run_dataset.parquet_files import read_back, runs_in
from hindsight.errors import UserError, require
from hindsight.servers.hub_repository import MAIN, HubRepository
from hindsight.settings import Settings, run_script

# fmt: off
DATASET = ""                # dataset of the Hub, name/dataset or name/dataset@revision; or a folder
RUNS = []                   # names of runs; empty: all
OUTPUT_DIR = "runs/pulled"  # gets one run folder per run
# fmt: on


def dataset_folder(name: str, runs: tuple[str, ...]) -> Path:
    """The folder of a dataset: as given, or the Hub's after a download of these runs."""
    require(bool(name), "give --dataset OWNER/NAME, or a folder")
    if Path(name).is_dir():
        return Path(name)
    require(name.count("/") == 1 and not name.startswith((".", "/")), f"there is no dataset folder {name}")
    repository, _, revision = name.partition("@")
    return HubRepository(repository, "dataset").download(revision or MAIN, [f"{escape(run)}/*" for run in runs])


def main(settings: Settings) -> int:
    require(settings.output_dir != "", "OUTPUT_DIR is empty: name the folder of the runs")
    folder = dataset_folder(settings.dataset, settings.runs)
    found = runs_in(folder)
    if missing := [run for run in settings.runs if run not in found]:
        raise UserError(
            f"{settings.dataset} has no run {missing[0]} by push_run.py" + f"; it has {', '.join(found)}" * bool(found)
        )
    require(bool(found), f"{settings.dataset} was not made by push_run.py: it has no run")
    for run in settings.runs or found:
        output = Path(settings.output_dir) / run
        existed = output.exists()
        print(f"{output}: {read_back(found[run], output):,} files" + ", already there" * existed)
    return 0


if __name__ == "__main__":
    run_script(main, globals())
