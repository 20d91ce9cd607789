"""Step 4: correct answers become a fine-tuning dataset for LLaMA-Factory, TRL or `datasets`.

Reads the checked converted_question_*_sample_*.json of one or more run folders. Writes to OUTPUT_DIR:

    NAME.json (.jsonl, .parquet)    the rows; those of the validation problems are in NAME_validation.json
    NAME.card.md                    what the dataset is made of: runs, counts per filter, settings, digests
    NAME.report.json                the same, for programs
    NAME.sources.jsonl              the source of each row
    dataset_info.json               LLaMA-Factory's list of datasets; entries of other datasets are kept
    README.md                       the same list for datasets.load_dataset(OUTPUT_DIR)

    python convert_to_data.py --input_dirs runs/lab/alpha_0.7_train --output_dir runs/lab/data
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hindsight.curation.candidates import Candidates, find_candidates
from hindsight.curation.dataset_files import DatasetOptions, counts_by_folder, require_same_data, write_dataset
from hindsight.curation.dataset_readme import write_readme
from hindsight.curation.filters import FilterOptions
from hindsight.curation.hub_upload import hub_dataset, push_to_hub
from hindsight.curation.selection import SelectionOptions, select_rows, split_rows
from hindsight.curation.training_rows import RowOptions
from hindsight.errors import UserError, require, require_utf8
from hindsight.files.masks import read_mask
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/alpha_0.7_train"]  # checked run folders
SHARES = []                   # share of the rows from each folder, such as 3 1; empty: folders do not matter
OUTPUT_DIR = "runs/lab/data"  # LLaMA-Factory's dataset_dir
NAME = "hindsight"            # the dataset's name there
FORMAT = "sharegpt"           # sharegpt (LLaMA-Factory's); jsonl or parquet: messages, for TRL too
BASE = False                  # true: rows are a base model's transcripts, not chats
THINK_TAGS = False            # true: <think> marks the thought, as Qwen3, R1 and reasoning templates expect
PROMPT_STYLE = ""             # evalplus, evalplus_openai: rows of code alone, the same as in sampling
PROMPT_FILE = ""              # Jinja file of your prompts, the same as in sampling; empty: the default prompts
SYSTEM_PROMPT = True          # false: rows have no system message, the same as in sampling
OTHER_PROMPTS = False         # true: keep answers that were sampled with other prompts than those of the rows
VALIDATION = 0.1              # share of the problems whose rows are for validation; 0: none
# which answers
CORRECT_ONLY = True            # false: wrong and unjudged answers too
MASK = ""                      # mask made by SkyThought/audit_problems.py: problems to leave out; empty: none
DROP_CUT_OFF = True            # leave out answers that MAX_TOKENS cut off
DROP_EMPTY_THOUGHT = True      # leave out answers without a thought
CUTOFF_LEN = 1024              # longest row, in tokens: LLaMA-Factory's cutoff_len; 0: any length
TOKENIZER = "lab/models/base"  # counts the tokens: the folder or Hub name of the model to be trained
CHAT_TEMPLATE = ""             # Jinja file of the chat template used in training; empty: the tokenizer's own
EXACT_DUPLICATES = True        # leave out answers equal to an earlier one, ignoring blank space
NEAR_DUPLICATES = 0.8          # leave out answers at least this similar (Jaccard) to an earlier one; 0: none
CONTAMINATION = 0.5            # leave out problems that share this part of their n-grams with a test problem; 0: none
NGRAM = 13                     # words of an n-gram
TEST_PROBLEMS = "lab"          # problems that models are tested on: a set by name, a file or a Hub name; empty: none
TEST_SPLIT = "test"            # split of TEST_PROBLEMS
BENCHMARKS = []                # more test problems: sets by name, files, or Hub names
# which of the remaining answers
MAX_SAMPLES = 10000   # rows in all; the paper's datasets have 10,000
MAX_PER_PROBLEM = 10  # rows per problem; all problems get one before any gets two
SELECT = "random"     # which answers of a problem: random, shortest, or diverse (the farthest apart)
SEED = 0              # seed of all random choices
PUSH_TO_HUB = ""      # dataset of the Hub to upload to, such as name/dataset; empty: none
WORKERS = 0           # processes; 0: one per core
OVERWRITE = False     # true: replace a dataset made of other answers or with other settings
# fmt: on


def read_shares(words: Sequence[str], folders: int) -> tuple[float, ...]:
    """SHARES as numbers. Raises UserError unless they are empty, or one per folder that divide the rows."""
    try:
        shares = tuple(float(word) for word in words)
    except ValueError:
        raise UserError(f"SHARES are numbers, not {' '.join(map(str, words))}") from None
    good = not shares or (len(shares) == folders and min(shares) >= 0 and 0 < sum(shares) < math.inf)
    require(good, f"SHARES are as many numbers as INPUT_DIRS has folders, none below 0: {folders}")
    return shares


def print_broken(candidates: Candidates) -> None:
    """Prints the first broken files, and how many more there are."""
    for sentence in candidates.broken:
        print(sentence)
    if more := candidates.broken_count() - len(candidates.broken):
        print(f"and {more:,} more broken files")


def require_some(candidates: Candidates) -> None:
    """Raises UserError, with the counts of all filters, if no answer has passed."""
    counts = counts_by_folder(candidates.counts, len(candidates.folders))
    found = ", ".join(f"{sum(numbers)} {name}" for name, numbers in counts.items())
    folders = ", ".join(map(str, candidates.folders))
    require(len(candidates.table) > 0, f"no answer is left in {folders} ({found})")


def print_report(report: dict[str, Any], output: Path) -> None:
    """Prints the counts, and the files of rows."""
    for name, numbers in report["counts"].items():
        print(f"{sum(numbers):8,d}  {name}")
    for folder in report["folders"]:
        if other := folder.get("other_prompts"):
            print(f"{other:,} rows of {folder['folder']} do not have the prompts that their answers were sampled with")
    for file in report["files"].values():
        print(f"{file['rows']} rows from {file['problems']} problems in {output / file['name']}")


def main(settings: Settings) -> int:
    folders = [Path(folder) for folder in settings.input_dirs]
    require(bool(folders), "INPUT_DIRS names no folder")
    require(settings.output_dir != "", "OUTPUT_DIR is empty: name the dataset's folder")
    require(len({folder.resolve() for folder in folders}) == len(folders), "INPUT_DIRS names a folder twice")
    for path in (*folders, Path(settings.output_dir)):
        require_utf8(path)
    rows, filters = settings.pick(RowOptions), settings.pick(FilterOptions)
    selection = settings.pick(SelectionOptions, shares=read_shares(settings.shares, len(folders)))
    dataset = settings.pick(DatasetOptions, settings=dict(settings))
    require_same_data(dataset)
    on_hub = hub_dataset(settings.push_to_hub) if settings.push_to_hub else None

    candidates = find_candidates(folders, read_mask(settings.mask), filters, rows, settings.workers)
    print_broken(candidates)
    require_some(candidates)

    selected = select_rows(candidates, selection)
    if selected.measures:
        measures = ", ".join(f"{count} {measure}" for measure, count in selected.measures.items())
        print(f"distances between the answers of a problem: {measures}")

    splits = split_rows(candidates, selected.rows, selection)
    report, paths = write_dataset(candidates, splits, candidates.counts + selected.counts, dataset, rows)
    output = Path(settings.output_dir)
    print_report(report, output)
    if not write_readme(output, report):
        print(
            f"{output / 'README.md'} was not written by this script and is kept: load_dataset({output}) uses that file"
        )
    if candidates.note:
        print(candidates.note)
    card = dataset.path(".card.md")
    print(f"what it is made of: {card}")
    if on_hub:
        print(push_to_hub(on_hub, paths, card))
    return 1 if candidates.broken else 0


if __name__ == "__main__":
    run_script(main, globals())
