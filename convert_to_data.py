"""Step 4: correct answers become a fine-tuning dataset for LLaMA-Factory.

Reads checked converted_question_*_sample_*.json of one or more run folders; writes a ShareGPT dataset (`system`,
`conversations` of `from` and `value`) and its entry in dataset_info.json, which may hold other datasets too.
Problems that the mask names are left out.

    python convert_to_data.py --input_dirs runs/lab/alpha_0.7 --output_dir runs/lab/data
"""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight import records
from hindsight.formats import BEGIN_THOUGHT
from hindsight.mask import Mask, read_mask
from hindsight.prompts import SYSTEM_PROMPT, base_prompt, user_prompt
from hindsight.runs import converted_files
from hindsight.settings import Settings, UserError, require, run_script

INPUT_DIRS = ["runs/lab/alpha_0.7"]  # checked run folders
OUTPUT_DIR = "runs/lab/data"         # LLaMA-Factory's dataset_dir; gets NAME.json and an entry in dataset_info.json
NAME = "hindsight"                   # the dataset's name there
MASK = ""                            # file of SkyThought/audit_problems.py: problems to leave out; empty: none
MAX_SAMPLES = 10000                  # rows in all; the paper's datasets have 10,000
MAX_PER_PROBLEM = 10                 # rows per problem
BASE = False                         # true: the base model's transcript as the prompt, without a system message
SEED = 0                             # of the random choice
OVERWRITE = False                    # replace a dataset of this name

KEYS = ("converted_text", "metadata", "correctness")


def correct_answers(
    folders: list[Path], mask: Mask, counts: Counter, broken: list[str]
) -> dict[tuple[str, int], list[Path]]:
    """The files of correct answers by problem: its data set and its id, which is unique only there."""
    by_problem: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for folder in folders:
        all_files = converted_files(folder)
        files = mask.keep(all_files, folder)
        if mask.path:
            print(f"{folder}: {mask.describe(all_files)}")
        for path, record in tqdm(records.read_records(files, KEYS, broken), total=len(files), desc=str(folder)):
            verdict = {True: "correct", False: "incorrect"}.get(record["correctness"], "not judged")
            counts[verdict] += 1
            if record["correctness"]:
                origin = record["metadata"].get("origin") or {}
                by_problem[str(origin.get("dataset")), record["question_id"]].append(path)
    return by_problem


def choose(by_problem: dict[tuple[str, int], list[Path]], most: int, most_per_problem: int, seed: int) -> list[Path]:
    """At random: up to `most_per_problem` answers of each problem and `most` in all.

    Every problem has one answer before any has two, and so on, so a limit on all costs no problem its only one.
    """
    chance = random.Random(seed)
    rounds: list[list[Path]] = [[] for _ in range(most_per_problem)]
    for problem in sorted(by_problem):
        paths = sorted(by_problem[problem])
        for number, path in enumerate(chance.sample(paths, min(len(paths), most_per_problem))):
            rounds[number].append(path)
    chosen: list[Path] = []
    for paths in rounds:
        chosen += chance.sample(paths, min(len(paths), most - len(chosen)))
    chance.shuffle(chosen)
    return chosen


def row(record: dict[str, Any], base: bool) -> dict[str, Any]:
    """One row in ShareGPT's form. With `base`, prompt and answer put together are the base model's transcript."""
    prompt, answer = user_prompt(record["metadata"]), record["converted_text"]
    if base:
        prompt = base_prompt(record["metadata"]).removesuffix(f" {BEGIN_THOUGHT}\n\n")
        answer = f" {answer}"
    turns = [{"from": "human", "value": prompt}, {"from": "gpt", "value": answer}]
    return {"system": "" if base else SYSTEM_PROMPT, "conversations": turns}


def dataset_entry(file_name: str) -> dict[str, Any]:
    """The dataset's entry in LLaMA-Factory's dataset_info.json."""
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    }


def add_to_dataset_info(folder: Path, name: str) -> None:
    """Adds the dataset to dataset_info.json, beside what others have written there."""
    path = folder / "dataset_info.json"
    try:
        datasets = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); mend or delete it") from None
    records.write_json(path, {**datasets, name: dataset_entry(f"{name}.json")})


def is_made_of(folder: Path, name: str, sources: dict[str, Any]) -> bool:
    """Whether the dataset that is there was made of these answers in this form, so that writing it changes nothing."""
    path = folder / f"{name}.sources.json"
    if not path.exists():
        return False
    made = records.read_record(path, ("settings", "answers"))
    return made["answers"] == sources["answers"] and made["settings"]["base"] == sources["settings"]["base"]


def main(settings: Settings) -> int:
    require(settings.max_samples > 0 and settings.max_per_problem > 0, "MAX_SAMPLES and MAX_PER_PROBLEM are at least 1")
    output = Path(settings.output_dir)
    data_file = output / f"{settings.name}.json"
    counts, broken = Counter(), []
    folders = [Path(folder) for folder in settings.input_dirs]
    by_problem = correct_answers(folders, read_mask(settings.mask), counts, broken)
    require(bool(by_problem), f"no correct answer in {', '.join(settings.input_dirs)} ({dict(counts)})")
    chosen = choose(by_problem, settings.max_samples, settings.max_per_problem, settings.seed)
    sources = {"settings": dict(settings), "counts": dict(counts), "answers": [str(path) for path in chosen]}
    require(
        settings.overwrite or not data_file.exists() or is_made_of(output, settings.name, sources),
        f"{data_file} is there and was made of other answers; give another --name, or --overwrite",
    )
    output.mkdir(parents=True, exist_ok=True)
    records.write_json(data_file, [row(records.read_record(path), settings.base) for path in chosen])
    add_to_dataset_info(output, settings.name)
    records.write_json(output / f"{settings.name}.sources.json", sources)
    for sentence in broken:
        print(sentence)
    print(f"{', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())} answers")
    print(f"{len(chosen)} rows from {len(by_problem)} solved problems in {data_file}")
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
