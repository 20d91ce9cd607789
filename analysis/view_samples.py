"""Writes the answers of runs to one HTML file, to read in a browser: by problem, verdict, run or text.

Reads the raw and the converted answers of run folders, including those that were not converted; shows runs side by
side. OUTPUT holds everything it needs: it opens from the disk, without a server or a network.

    python analysis/view_samples.py --input_dirs runs/lab/alpha_0.7 runs/lab/instruct --output runs/lab/answers.html

The models' texts are data in the file: packed (zlib, base64), unpacked a few answers at a time, and shown as text. The
same answers give the same bytes.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from analysis.page.page import Page
from analysis.reading.answers import whole_records
from hindsight.errors import UserError, require
from hindsight.files import answer_files, records
from hindsight.files.runs import alpha_of_run, raw_folder, read_run
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct"]  # run folders
OUTPUT = "runs/lab/answers.html"  # the file to open in a browser
MAX_ANSWERS = 0                   # answers per run, the first by problem and sample; 0: all
# fmt: on


@dataclass(frozen=True)
class Options:
    """The settings of the script, checked."""

    input_dirs: tuple[str, ...]
    output: str
    max_answers: int

    def __post_init__(self) -> None:
        require(bool(self.input_dirs), "INPUT_DIRS names no folder")
        folders = {Path(folder).resolve() for folder in self.input_dirs}
        require(len(folders) == len(self.input_dirs), "INPUT_DIRS names a folder twice")
        require(self.max_answers >= 0, f"MAX_ANSWERS is at least 0, not {self.max_answers}")
        require(not Path(self.output).is_dir(), f"OUTPUT is the HTML file to write, not the folder {self.output!r}")


@dataclass(frozen=True)
class RunFolder:
    """A run folder: its name on the page, the alpha or model that wrote it, and its answers' files.

    `left_out` is the number of answers beyond MAX_ANSWERS.
    """

    name: str
    model: str
    files: dict[tuple[int, int], Path]
    left_out: int


def find_runs(folders: tuple[str, ...], most: int) -> list[RunFolder]:
    """The run folders with up to `most` of their answers' files (0: all).

    Raises UserError when a folder is missing or has no answers.
    """
    names = Counter(Path(folder).name for folder in folders)
    runs = []
    for folder in map(Path, folders):
        require(folder.is_dir(), f"there is no folder {folder}")
        files = {
            **answer_files.list_files(raw_folder(folder), "sample"),
            **answer_files.list_files(folder, "converted"),
        }
        require(bool(files), f"{folder} has no answers; run single_model_inference.py first, or give another folder")
        name = str(folder) if names[folder.name] > 1 else folder.name
        first = dict(sorted(files.items())[: most or None])
        runs.append(RunFolder(name, model_of(folder), first, len(files) - len(first)))
    return runs


def model_of(folder: Path) -> str:
    """The alpha of the merged model that wrote a run, else the names of its models, from its run.json."""
    run = read_run(folder)
    alpha = alpha_of_run(run)
    return f"alpha {alpha}" if alpha else " and ".join(run.get("models") or [])


def read_answers(runs: list[RunFolder], broken: list[str]) -> Iterator[tuple[int, records.AnswerRecord]]:
    """Every answer with the number of its run, problem by problem; adds a sentence to `broken` for each broken file."""
    keys = sorted((question_id, number, sample) for number, run in enumerate(runs) for question_id, sample in run.files)
    for question_id, number, sample in tqdm(keys, unit="answer"):
        key = (question_id, sample)
        path = runs[number].files[key]
        for record in whole_records({key: path}, broken):
            yield number, record


def main(settings: Settings) -> int:
    options = settings.pick(Options)
    output, broken = Path(options.output), []
    runs = find_runs(options.input_dirs, options.max_answers)
    page = Page([(run.name, run.model) for run in runs])
    for number, record in read_answers(runs, broken):
        page.add(number, record)
    if not page.rows:
        raise UserError(f"no answer can be read, for example: {broken[0]}")
    left_out = sum(run.left_out for run in runs)
    page.missing = {"left out by MAX_ANSWERS": left_out, "in broken files": len(broken)}
    content = page.render()
    output.parent.mkdir(parents=True, exist_ok=True)
    records.write_bytes(output, content)
    print(*broken, sep="\n", end="\n" * bool(broken))
    print(
        f"{len(page.rows)} answers of {len(runs)} runs in {output} ({len(content) / 1e6:.1f} MB), "
        f"{len(broken)} could not be read" + f"; MAX_ANSWERS leaves out {left_out} more" * bool(left_out)
    )
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
