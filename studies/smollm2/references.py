"""MBPP's own programs as a run folder, as if a model had answered with them.

Steps 2 to 4 then treat them as any other answers: a program that does not pass its problem's tests is left out.
"""

import json
from pathlib import Path

from hindsight.files.records import write_json
from hindsight.problem_sets.selection import load_problems
from hindsight.sampling.samples import Sample
from hindsight.text.prompt_styles import prompts_of_style


def write_references(problems: Path, folder: Path, style: str) -> int:
    """Writes each problem's own program as its only answer, with a style's prompts; returns how many there are.

    Raises UserError for problems that cannot be read or asked in this style.
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
