"""Writes the lab's problems, `problems.jsonl`, in TACO's schema. The same seed gives the same file.

Test problems are of families that no corpus has (`Pipeline.pool`), train problems of families that may be trained on. A
problem's tests distinguish its program from those with a missing or changed step or another reduction. Groups,
difficulties and functions alternate, so the first problems of a split are of all kinds.

Write a development set, for choices that must not depend on the test problems, into its own file:

    python -m lab.world.make_problems
    python -m lab.world.make_problems --test_problems 0 --train_problems 0 --dev_problems 150 --output_file dev.jsonl
"""

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.errors import require
from hindsight.settings import Settings, run_script
from lab.world.pipelines import DIFFICULTIES, FINETUNED_PIECES, GROUPS, Pipeline
from lab.world.problem_tests import choose_tests
from lab.world.random_pipelines import draw_from
from lab.world.writing import (
    ProgramStyle,
    as_lines,
    as_output,
    draw_function_name,
    program,
    question,
    starter_code,
    statement,
)

# fmt: off
OUTPUT_FILE = "lab/problems.jsonl"  # where to write the problems
TEST_PROBLEMS = 300                 # problems of the test split
TRAIN_PROBLEMS = 60                 # problems of the train split
DEV_PROBLEMS = 0                    # problems of the dev split; 150 are enough to choose by
TESTS_PER_PROBLEM = 10              # tests per problem
SEED = 0                            # seed of everything random
CANDIDATES = 150                    # inputs drawn per problem, out of which its tests are chosen
# fmt: on

DRAWS_FOR_A_NEW_FAMILY = 200


@dataclass(frozen=True)
class ProblemOptions:
    """How problems are made: settings of this script."""

    seed: int
    tests_per_problem: int
    candidates: int


def main(settings: Settings) -> int:
    options = settings.pick(ProblemOptions)
    rows = []
    for split in ("test", "train", "dev"):
        rows += make_split(options, split, settings[f"{split}_problems"], first_id=len(rows))
    output = Path(settings.output_file)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} problems in {settings.output_file}")
    return 0


def make_split(options: ProblemOptions, split: str, count: int, first_id: int) -> list[dict[str, Any]]:
    """The rows of a split: groups alternate, within a group difficulties, and every fifth problem is a call.

    Each problem is of a new family as long as new ones are drawn, then of an earlier family with other parameters.
    Raises UserError when there are fewer than `count` different problems.
    """
    rng = random.Random(f"{options.seed} {split}")
    groups = GROUPS[:2] if split == "train" else GROUPS  # unseen pairings cannot be trained on
    rows, taken, draws = [], set(), 0
    with tqdm(total=count, desc=f"{split} problems", unit="problem") as bar:
        while len(rows) < count:
            position = len(rows)
            turn, group = divmod(position, len(groups))
            pipeline = draw_of_group(rng, split, groups[group], 1 + turn % len(DIFFICULTIES))
            pipeline = replace(pipeline, is_call=position % 5 == 4)
            draws += 1
            require(draws < 50 * DRAWS_FOR_A_NEW_FAMILY, f"there are fewer than {count} different problems for {split}")
            if pipeline.key in taken or (pipeline.family in taken and draws < DRAWS_FOR_A_NEW_FAMILY):
                continue
            row = make_row(rng, options, pipeline, first_id + position, split)
            taken.add(pipeline.key)  # poor problems too, since finding out takes most of the time
            if row is not None:
                taken.add(pipeline.family)
                rows.append(row)
                draws = 0
                bar.update()
    return rows


def draw_of_group(rng: random.Random, split: str, group: str, number_of_steps: int) -> Pipeline:
    """A random pipeline of a split and a group; half of the unseen ones have only fine-tuned pieces."""
    narrow = group == "finetuned" or (group == "unseen" and rng.random() < 0.5)
    while True:
        pipeline = draw_from(rng, split, number_of_steps, FINETUNED_PIECES if narrow else None)
        if pipeline.group == group:
            return pipeline


def make_row(
    rng: random.Random, options: ProblemOptions, pipeline: Pipeline, task_id: int, split: str
) -> dict[str, Any] | None:
    """A problem in TACO's schema, or None when the pipeline makes a poor problem (`choose_tests`)."""
    chosen = choose_tests(rng, pipeline, options.tests_per_problem, options.candidates)
    if chosen is None:
        return None
    name = draw_function_name(rng, pipeline) if pipeline.is_call else ""
    kinds = Counter("map" if step.gives else "filter" for step, _ in pipeline.steps)
    solutions = (ProgramStyle("comprehension"), ProgramStyle("loop", read=1, reduction=1))
    return {
        "task_id": task_id,
        "question": question(statement(rng, pipeline), pipeline, name, chosen[0]),
        "starter_code": starter_code(pipeline, name),
        "difficulty": DIFFICULTIES[len(pipeline.steps)],
        "input_output": json.dumps(tests_as_taco(pipeline, name, chosen)),
        "solutions": json.dumps([program(pipeline, style, name) for style in solutions]),
        "name": pipeline.key,
        "source": "lab",
        "tags": str([pipeline.source.name, *sorted(kinds), pipeline.reduction.name]),
        "split": split,
        "group": pipeline.group,
    }


def tests_as_taco(pipeline: Pipeline, name: str, chosen: list[tuple]) -> dict[str, Any]:
    """The tests as TACO's `input_output`, from the arguments of each."""
    if pipeline.is_call:
        return {
            "fn_name": name,
            "inputs": [list(arguments) for arguments in chosen],
            "outputs": [pipeline.answer(*arguments) for arguments in chosen],
        }
    return {
        "inputs": [as_lines(arguments, pipeline.source.name) for arguments in chosen],
        "outputs": [as_output(pipeline.answer(*arguments)) for arguments in chosen],
    }


if __name__ == "__main__":
    run_script(main, globals())
