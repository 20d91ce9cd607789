"""Writes the lab's problems, `problems.jsonl`, in TACO's schema. The same seed gives the same file.

Test problems are of families that no corpus holds (`Pipeline.pool`), train problems of families that may be trained
on. The tests of a problem tell its program from those with a step left out or changed, or with another reduction.
Groups, difficulties and functions come in turn, so the first problems of a split are of all kinds.

A development set, for choices that the test problems must not see, is a file of its own:

    python -m lab.world.make_problems
    python -m lab.world.make_problems --test_problems 0 --train_problems 0 --dev_problems 150 --output_file runs/lab/dev.jsonl
"""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.errors import require
from hindsight.settings import run_script
from lab.world.pipelines import (
    DIFFICULTIES,
    FINETUNED_PIECES,
    GROUPS,
    Pipeline,
    draw_arguments,
    draw_from,
    fitting_reductions,
)
from lab.world.writing import (
    Manner,
    as_lines,
    as_output,
    draw_function_name,
    program,
    question,
    starter_code,
    statement,
)

# fmt: off
OUTPUT_FILE = "lab/problems.jsonl"  # where the problems go
TEST_PROBLEMS = 300                 # problems of the test split
TRAIN_PROBLEMS = 60                 # problems of the train split
DEV_PROBLEMS = 0                    # problems of the dev split; 150 are enough to choose by
TESTS_PER_PROBLEM = 10              # tests of each problem
SEED = 0                            # seed of everything random

CANDIDATES = 150  # inputs drawn for a problem, of which its tests are chosen
# fmt: on
LARGEST_ANSWER = 10**30
DRAWS_FOR_A_NEW_FAMILY = 200


def main(settings) -> int:
    rows = []
    for split in ("test", "train", "dev"):
        rows += make_split(settings, split, getattr(settings, f"{split}_problems"), first_id=len(rows))
    output = Path(settings.output_file)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} problems in {settings.output_file}")
    return 0


def make_split(settings, split: str, count: int, first_id: int) -> list[dict[str, Any]]:
    """The rows of a split: groups in turn, of each group difficulties in turn, every fifth problem a call.

    Families are all different as long as new ones are found; then the specifications are.
    """
    rng = random.Random(f"{settings.seed} {split}")
    groups = GROUPS[:2] if split == "train" else GROUPS  # what nobody has seen cannot be trained on
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
            row = make_row(rng, pipeline, first_id + position, split, settings.tests_per_problem)
            taken.add(pipeline.key)  # what makes no good problem, too: to find that out takes the longest
            if row is not None:
                taken.add(pipeline.family)
                rows.append(row)
                draws = 0
                bar.update()
    return rows


def draw_of_group(rng: random.Random, split: str, group: str, number_of_steps: int) -> Pipeline:
    """A random pipeline of a split and a group; of what nobody has seen, half has the fine-tuned pieces alone."""
    narrow = group == "finetuned" or (group == "unseen" and rng.random() < 0.5)
    while True:
        pipeline = draw_from(rng, split, number_of_steps, FINETUNED_PIECES if narrow else None)
        if pipeline.group == group:
            return pipeline


def make_row(rng: random.Random, pipeline: Pipeline, task_id: int, split: str, tests: int) -> dict[str, Any] | None:
    """A problem in TACO's schema, or None when its pipeline does not make a good problem (`choose_tests`)."""
    chosen = choose_tests(rng, pipeline, tests)
    if chosen is None:
        return None
    name = draw_function_name(rng, pipeline) if pipeline.is_call else ""
    kinds = Counter("map" if step.gives else "filter" for step, _ in pipeline.steps)
    return {
        "task_id": task_id,
        "question": question(statement(rng, pipeline), pipeline, name, chosen[0]),
        "starter_code": starter_code(pipeline, name),
        "difficulty": DIFFICULTIES[len(pipeline.steps)],
        "input_output": json.dumps(tests_as_taco(pipeline, name, chosen)),
        "solutions": json.dumps(
            [
                program(pipeline, Manner("comprehension"), name),
                program(pipeline, Manner("loop", read=1, reduction=1), name),
            ]
        ),
        "name": pipeline.key,
        "source": "lab",
        "tags": str([pipeline.source.name, *sorted(kinds), pipeline.reduction.name]),
        "split": split,
        "group": pipeline.group,
    }


def tests_as_taco(pipeline: Pipeline, name: str, chosen: list[tuple]) -> dict[str, Any]:
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


def choose_tests(rng: random.Random, pipeline: Pipeline, count: int) -> list[tuple] | None:
    """Arguments of the tests, the statement's example first; None when the problem is not a good one.

    Not good are a step that never changes the answer, and answers that are mostly the same. One test is the smallest
    input; then those come that unmask a variant no earlier test unmasks; the rest is random.
    """
    candidates = [arguments for arguments in draw_candidates(rng, pipeline) if is_usable(pipeline, arguments)]
    answers = [pipeline.answer(*arguments) for arguments in candidates]
    unmasked = []
    for variant, is_step_left_out in variants(pipeline):
        differs = {i for i, arguments in enumerate(candidates) if variant.answer(*arguments) != answers[i]}
        if is_step_left_out and len(differs) < len(candidates) / 4:
            return None
        if differs:
            unmasked.append(differs)
    sizes = [len(str(arguments)) for arguments in candidates]
    examples = [i for i, size in enumerate(sizes) if size <= 24 and len(pipeline.items(*candidates[i])) > 1]
    if len(candidates) < CANDIDATES / 2 or not examples:
        return None
    chosen = [examples[0], min(range(len(sizes)), key=sizes.__getitem__)]
    for differs in sorted(unmasked, key=len):
        if len(chosen) < count and not differs & set(chosen):
            chosen.append(min(differs))
    chosen = list(dict.fromkeys(chosen + list(range(len(candidates)))))[:count]
    if any(not differs & set(chosen) for differs in unmasked):
        return None
    most_frequent = Counter(repr(answers[i]) for i in chosen).most_common(1)[0][1]
    return [candidates[i] for i in chosen] if most_frequent <= count / 2 else None


def draw_candidates(rng: random.Random, pipeline: Pipeline) -> list[tuple]:
    """Different inputs; a function with a list gets the empty list too."""
    drawn = [draw_arguments(rng, pipeline.source) for _ in range(CANDIDATES)]
    if pipeline.is_call and pipeline.source.arguments == "a":
        drawn.append(("",) if pipeline.source.name == "letters" else ([],))
    return list({repr(arguments): arguments for arguments in drawn}.values())


def is_usable(pipeline: Pipeline, arguments: tuple) -> bool:
    """Whether the answer is of moderate size and, printed, not an empty line."""
    answer = pipeline.answer(*arguments)
    if isinstance(answer, int):
        return abs(answer) < LARGEST_ANSWER
    return pipeline.is_call or len(answer) > 0


def variants(pipeline: Pipeline) -> list[tuple[Pipeline, bool]]:
    """Near misses: a step left out (True), another parameter, two steps swapped, another reduction (False)."""
    steps, found = pipeline.steps, []
    for i, (step, parameter) in enumerate(steps):
        rest = steps[:i] + steps[i + 1 :]
        if not step.gives or step.gives == step.takes:
            found.append((replace(pipeline, steps=rest), True))
        near = [other for other in step.parameters if other != parameter]
        found += [(replace(pipeline, steps=(*steps[:i], (step, other), *steps[i + 1 :])), False) for other in near]
    kind = steps[-1][0].gives or steps[-1][0].takes
    found += [
        (replace(pipeline, reduction=other), False)
        for other in fitting_reductions(list(steps), kind)
        if other.name != pipeline.reduction.name
    ]
    return found


if __name__ == "__main__":
    run_script(main, globals())
