"""Step 4: correct answers become a fine-tuning dataset for LLaMA-Factory, TRL or `datasets`.

Reads checked converted_question_*_sample_*.json of one or more run folders; writes into OUTPUT_DIR, for NAME

    NAME.json (.jsonl, .parquet)    the rows; those of other problems, for validation, are in NAME_validation.json
    NAME.card.md                    what the dataset is made of: runs, counts at every filter, settings, digests
    NAME.report.json                the same for programs
    NAME.sources.jsonl              where each row came from
    dataset_info.json               LLaMA-Factory's list, which may hold other datasets too

    python convert_to_data.py --input_dirs runs/lab/alpha_0.7_train --output_dir runs/lab/data
"""

import hashlib
import random
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hindsight.curation.dataset_card import push_to_hub
from hindsight.curation.dataset_files import (
    OTHER_PROBLEM,
    OTHER_ROWS,
    ROW,
    counts_by_folder,
    require_same_data,
    write_dataset,
)
from hindsight.curation.distances import distances_within
from hindsight.curation.filters import BROKEN, Candidates, find_candidates
from hindsight.curation.ngrams import LONGEST
from hindsight.curation.rows import SUFFIXES
from hindsight.curation.selection import choose, farthest_first
from hindsight.errors import UserError, require
from hindsight.files.masks import read_mask
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/alpha_0.7_train"]  # checked run folders
SHARES = []                   # parts of the rows from each folder, as 3 1; empty: as they come
OUTPUT_DIR = "runs/lab/data"  # LLaMA-Factory's dataset_dir
NAME = "hindsight"            # the dataset's name there
FORMAT = "sharegpt"           # sharegpt (LLaMA-Factory's); jsonl or parquet: messages, for TRL too
BASE = False                  # true: the base model's transcript as the prompt, without a chat
PROMPT_FILE = ""              # Jinja file of own prompts, as of the sampling scripts; empty: none
VALIDATION = 0.1              # share of the problems whose rows are for validation; 0: none
# which answers
CORRECT_ONLY = True            # false: wrong ones and those without a verdict too
MASK = ""                      # file of SkyThought/audit_problems.py: problems to leave out; empty: none
DROP_CUT_OFF = True            # leave out answers that MAX_TOKENS cut off
DROP_EMPTY_THOUGHT = True      # leave out answers without a thought
CUTOFF_LEN = 1024              # tokens of the longest row, as LLaMA-Factory's cutoff_len; 0: of any length
TOKENIZER = "lab/models/base"  # of the model to be trained, a folder or Hub name: tokens are counted by it
CHAT_TEMPLATE = ""             # Jinja file of the template it is trained with; empty: the tokenizer's own
EXACT_DUPLICATES = True        # leave out answers that are others again, but for blank space
NEAR_DUPLICATES = 0.8          # leave out the later of two answers at least so similar (Jaccard); 0: none
CONTAMINATION = 0.5            # leave out a problem with this share of n-grams of a test; 0: none
NGRAM = 13                     # words of an n-gram
TEST_PROBLEMS = "lab"          # what models are tested on: lab, a file or a Hub name; empty: none
TEST_SPLIT = "test"            # which part of them
BENCHMARKS = []                # more of them: .jsonl and .parquet files, or Hub names
# which of those that are left
MAX_SAMPLES = 10000   # rows in all; the paper's datasets have 10,000
MAX_PER_PROBLEM = 10  # rows of a problem; all problems get one before any gets two
SELECT = "random"     # answers of a problem: random, shortest, or diverse (the farthest apart)
SEED = 0              # of everything random
PUSH_TO_HUB = ""      # data set of the Hub to put it into, as name/dataset; empty: none
WORKERS = 0           # processes; 0: one a core
OVERWRITE = False     # replace a dataset that was made of other answers or settings
# fmt: on


def rank(candidates: Candidates, group: np.ndarray, settings: Settings, how: Counter) -> list[int]:
    """The answers of a problem in the order in which they are taken."""
    problem = candidates.table["problem"][group[0]]
    chance = random.Random(f"{settings.seed} {problem}")  # its own, so that other problems change nothing
    if settings.select == "shortest":
        return group[np.argsort(candidates.table["length"][group], kind="stable")].tolist()
    if settings.select == "diverse" and len(group) > 1:
        kind, distances = distances_within([candidates.path(number) for number in group])
        how[kind] += 1
        most = len(group) if settings.shares else settings.max_per_problem
        return group[farthest_first(distances, len(group), most, chance.randrange(len(group)))].tolist()
    shuffled = group.tolist()
    chance.shuffle(shuffled)
    return shuffled


def choose_rows(candidates: Candidates, settings: Settings, counts: Counter) -> list[int]:
    """The candidates that become rows; the others are counted."""
    groups, folders, how = candidates.by_problem(), candidates.table["folder"], Counter()
    shares = [float(share) for share in settings.shares] or [1.0]
    queues = []
    for group in tqdm(groups, unit="problem", desc=settings.select, disable=settings.select != "diverse"):
        ranked = rank(candidates, group, settings, how)
        by_folder = [[number for number in ranked if folders[number] == folder] for folder in range(len(shares))]
        queues.append(by_folder if settings.shares else [ranked])
    chosen = choose(queues, settings.max_samples, settings.max_per_problem, shares, settings.seed)
    if how:
        print("distances between the answers of a problem: " + ", ".join(f"{n} {kind}" for kind, n in how.items()))
    rows, taken = set(chosen), Counter(candidates.table["problem"][chosen].tolist())
    for number, row in enumerate(candidates.table):
        full = taken[int(row["problem"])] >= settings.max_per_problem
        counts[int(row["folder"]), ROW if number in rows else OTHER_PROBLEM if full else OTHER_ROWS] += 1
    return chosen


def split_rows(candidates: Candidates, chosen: list[int], settings: Settings) -> dict[str, list[int]]:
    """The rows of each split, in random order, so that the rows of a problem are all in one.

    A problem's hash decides, so with one seed and share it is in the same split of every dataset, but for one that is
    moved so that neither split is empty.
    """
    places = {}
    for problem in set(candidates.table["problem"][chosen].tolist()):
        digest = hashlib.blake2b(f"{settings.seed} {problem}".encode(), digest_size=8).digest()
        places[problem] = int.from_bytes(digest) / 2**64
    first = sorted(places, key=places.get)
    held_out = {problem for problem in first if places[problem] < settings.validation}
    if settings.validation and len(first) > 1:
        held_out = (held_out | {first[0]}) - {first[-1]}  # both splits have a problem
    random.Random(settings.seed).shuffle(chosen)
    splits: dict[str, list[int]] = {"train": [], "validation": []}
    for number in chosen:
        splits["validation" if int(candidates.table["problem"][number]) in held_out else "train"].append(number)
    return splits if settings.validation else {"train": splits["train"]}


def check_settings(settings: Settings) -> None:
    """Raises UserError for settings that make no dataset."""
    require(settings.max_samples > 0 and settings.max_per_problem > 0, "MAX_SAMPLES and MAX_PER_PROBLEM are at least 1")
    require(settings.format in SUFFIXES, f"FORMAT is one of {', '.join(SUFFIXES)}, not {settings.format!r}")
    selects = ("random", "shortest", "diverse")
    require(settings.select in selects, f"SELECT is one of {', '.join(selects)}, not {settings.select!r}")
    for name in ("near_duplicates", "contamination"):
        require(0 <= settings[name] <= 1, f"{name.upper()} is a share from 0 to 1, not {settings[name]}")
    require(0 <= settings.validation < 1, f"VALIDATION is a share from 0 to below 1, not {settings.validation}")
    require(0 < settings.ngram <= LONGEST, f"NGRAM is from 1 to {LONGEST} words, not {settings.ngram}")
    require(settings.cutoff_len >= 0, f"CUTOFF_LEN is at least 0, not {settings.cutoff_len}")
    require(bool(settings.input_dirs), "INPUT_DIRS names no folder")
    require(len(set(map(Path, settings.input_dirs))) == len(settings.input_dirs), "INPUT_DIRS names a folder twice")
    try:
        shares = [float(share) for share in settings.shares]
    except ValueError:
        raise UserError(f"SHARES are numbers, not {' '.join(map(str, settings.shares))}") from None
    good = not shares or (len(shares) == len(settings.input_dirs) and min(shares) >= 0 and sum(shares) > 0)
    require(good, f"SHARES are as many numbers as INPUT_DIRS has folders, none below 0: {len(settings.input_dirs)}")


def main(settings: Settings) -> int:
    check_settings(settings)
    require_same_data(settings)
    folders = [Path(folder) for folder in settings.input_dirs]
    candidates = find_candidates(folders, settings, read_mask(settings.mask))
    counts = candidates.counts
    for sentence in candidates.broken:
        print(sentence)
    if more := sum(counts[number, BROKEN] for number in range(len(folders))) - len(candidates.broken):
        print(f"and {more:,} more broken files")
    if not len(candidates.table):
        found = ", ".join(f"{sum(numbers)} {name}" for name, numbers in counts_by_folder(counts, len(folders)).items())
        raise UserError(f"no answer is left of those in {', '.join(settings.input_dirs)} ({found})")
    splits = split_rows(candidates, choose_rows(candidates, settings, counts), settings)
    report, paths = write_dataset(candidates, splits, counts, settings)
    for name, numbers in report["counts"].items():
        print(f"{sum(numbers):8,d}  {name}")
    for file in report["files"].values():
        print(f"{file['rows']} rows from {file['problems']} problems in {paths[0].with_name(file['name'])}")
    card = paths[0].with_name(f"{settings.name}.card.md")
    print(f"what it is made of: {card}")
    if settings.push_to_hub:
        print(push_to_hub(settings.push_to_hub, paths, card))
    return 1 if candidates.broken else 0


if __name__ == "__main__":
    run_script(main, globals())
