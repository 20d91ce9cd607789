"""The fine-tuning dataset: MBPP's own programs, converted, checked and curated by steps 2 to 4."""

import json
from pathlib import Path

from hindsight.files.records import write_json
from hindsight.pipeline import ROOT, convert_and_check, run_step
from hindsight.problem_sets.selection import load_problems
from hindsight.sampling.samples import Sample
from hindsight.text.prompt_styles import prompts_of_style
from studies.smollm2.plan import STYLES, StudyOptions
from studies.smollm2.problems import WHOLE_TEST
from studies.smollm2.training import DATASET

NGRAM = 8  # words: the statements of MBPP have about a dozen
CUTOFF_LEN = 1024  # tokens of a row, as in the configurations


def make_dataset(options: StudyOptions) -> None:
    """Writes the dataset, unless it exists. Raises UserError when a step fails."""
    data, references, log = (options.output / name for name in ("data", "references", "data.log"))
    if (ROOT / data / f"{DATASET}.json").exists():
        return
    count = write_references(options.problems("training"), references, STYLES["chat"])
    print(f"{count} programs of MBPP: converting, checking, curating (a minute)", flush=True)
    convert_and_check(references, log, may_fail=True)
    flags = ["--prompt_style", STYLES["chat"], "--validation", "0", "--max_per_problem", "1"]
    flags += ["--tokenizer", options.start, "--cutoff_len", str(CUTOFF_LEN), "--ngram", str(NGRAM)]
    flags += ["--test_problems", str(options.problems(WHOLE_TEST)), "--test_split", ""]
    flags += ["--benchmarks", str(options.problems("validation"))]
    folders = ["--input_dirs", str(references), "--output_dir", str(data), "--name", DATASET]
    run_step("convert_to_data.py", *folders, *flags, may_fail=True, log=log)


def write_references(problems: Path, folder: Path, style: str) -> int:
    """Writes a run folder with each problem's own program as its only answer; returns how many there are.

    Steps 2 to 4 treat them as any other answers: one that does not pass its problem's tests is left out. Raises
    UserError for problems that cannot be read or asked in this style.
    """
    prompts = prompts_of_style(style, "", True)
    rows = load_problems(str(problems))
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        problem = {key: value for key, value in row.items() if key not in ("input_output", "solutions")}
        sample = Sample(problem, 0, 0)
        record = sample.record(
            prompt=prompts.chat(problem),
            generated_text=json.loads(row["solutions"])[0].strip() + "\n",
            finish_reason="stop",
            **prompts.marks("instruct", problem),
        )
        write_json(sample.path(folder), record)
    return len(rows)
