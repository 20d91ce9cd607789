"""Publishes run folders as one dataset on the Hub: answers, verdicts and settings, with a card.

Reads run folders, judged or not. Writes a Parquet file per run with a row per answer, which `load_dataset` reads as one
configuration per run; a run's other files lie beside it. `pull_run.py` restores the run folders, byte for byte.
TO_FOLDER writes the same into a folder, without any network.

    python analysis/push_run.py --input_dirs runs/lab/instruct runs/lab/alpha_0.7 --to_folder runs/lab/dataset
    python analysis/push_run.py --input_dirs runs/lab/instruct runs/lab/alpha_0.7 --push_to_hub me/lab-runs
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.run_dataset.card import CARD_FILE, read_facts, write_card
from analysis.run_dataset.parquet_files import ANSWERS, PARTIAL, RunFiles, all_files, find_files, run_name, write_run
from hindsight.errors import require
from hindsight.servers.hub_repository import HubRepository
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct"]  # run folders
PUSH_TO_HUB = ""    # dataset of the Hub to upload to, such as name/dataset
TO_FOLDER = ""      # folder to write the dataset to; with PUSH_TO_HUB, empty: a temporary one
HUB_PRIVATE = True  # a new dataset is private; an existing one stays as it is
# fmt: on

# Files that a dataset may have beside its runs.
OURS = {CARD_FILE, ".gitattributes"}


@dataclass(frozen=True)
class Options:
    """The settings of the script, checked."""

    input_dirs: tuple[str, ...]
    push_to_hub: str
    to_folder: str
    hub_private: bool

    def __post_init__(self) -> None:
        require(bool(self.input_dirs), "INPUT_DIRS names no folder")
        require(bool(self.push_to_hub or self.to_folder), "give --push_to_hub OWNER/NAME, or --to_folder FOLDER")
        names = Counter(run_name(Path(folder)) for folder in self.input_dirs)
        twice = [name for name, number in names.items() if number > 1]
        require(not twice, f"INPUT_DIRS has two runs named {''.join(twice[:1])}: rename one of the folders")


def require_same_runs(where: str, paths: Iterable[str], names: list[str]) -> None:
    """Raises UserError if a dataset has somebody else's files, or a run that is not among `names`."""
    others = [path for path in paths if path not in OURS and not path.endswith(f"/{PARTIAL}")]
    there = sorted({path.split("/")[0] for path in others if path.endswith(f"/{ANSWERS}")})
    foreign = [path for path in others if path.split("/")[0] not in there]
    require(
        not foreign, f"{where} holds files that push_run.py did not write ({''.join(foreign[:1])}): give another name"
    )
    missing = [name for name in there if name not in names]
    require(not missing, f"{where} also has the run {''.join(missing[:1])}: give its folder too, or another name")


def write_dataset(folder: Path, where: str, runs: list[RunFiles]) -> list[str]:
    """Writes the runs and the card, and prints a line about each; returns the sentences about broken files."""
    facts = []
    for run in runs:
        summary = write_run(run, folder / run_name(run.folder))
        facts.append(read_facts(run.folder, summary, len({question for question, _ in run.keys})))
        counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(summary.outcomes.items()))
        print(f"{run.folder}: {sum(summary.outcomes.values())} answers ({counts})")
        if run.left_out:
            print(f"{run.folder}: not part of a run, so left out: {', '.join(run.left_out)}")
    write_card(folder / CARD_FILE, where, facts)
    return [sentence for each in facts for sentence in each.summary.broken]


def push(repository: HubRepository, folder: Path, names: list[str]) -> None:
    """Pushes the card and the runs, deletes the earlier files of these runs, and prints the address."""
    files = {CARD_FILE: folder / CARD_FILE, **all_files(folder, names)}
    stale = [path for path in repository.files() or [] if path not in files and path not in OURS]
    changed = repository.push(files, f"push_run.py: {', '.join(names)}", stale=stale)
    print(f"{'pushed to' if changed else 'nothing has changed in'} {repository.address()}")


def main(settings: Settings) -> int:
    options = settings.pick(Options)
    runs = [find_files(Path(folder)) for folder in options.input_dirs]
    names = [run_name(run.folder) for run in runs]
    repository = HubRepository(options.push_to_hub, "dataset", options.hub_private) if options.push_to_hub else None
    if repository:
        repository.check()
        require_same_runs(repository.name, repository.files() or [], names)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.to_folder or temporary)
        require(folder.is_dir() or not folder.exists(), f"{folder} is a file; TO_FOLDER is the folder to write")
        paths = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
        require_same_runs(str(folder), paths, names)
        folder.mkdir(parents=True, exist_ok=True)
        broken = write_dataset(folder, options.push_to_hub or options.to_folder, runs)
        print(*broken, sep="\n", end="\n" * bool(broken))
        if options.to_folder:
            print(f"{folder}: {len(runs)} runs; load_dataset({str(folder)!r}, {names[0]!r}) reads one")
        if repository:
            push(repository, folder, names)
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
