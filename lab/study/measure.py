"""The measures of one run of the study, per problem: verdicts, format, diversity and entropy.

A run has thousands of answer files; MEASURED, one small file beside them, holds all that the figures need.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.measures.program_diversity import normalise
from analysis.reading.answers import is_in_format
from analysis.reading.checked_runs import is_correct, programs_in, records_by_question
from hindsight.files.records import write_json
from lab.world.pipelines import family_of

MEASURED = "measured.json"
# A checkpoint, or (base, fine-tuned model, alpha, method) of a merge, as `next_token_entropy.load_checkpoint` takes it.
Model = Path | tuple


def measure_run(folder: Path, model: Model | None) -> None:
    """Reads a checked run and writes its MEASURED: {"problems": [one row per problem]}.

    A row has the problem's `question_id`, `group`, `family` and `difficulty`, and counts its answers: all (`samples`),
    the `correct` ones, those with a program (`programs`), those exactly in the uniform format (`in_format`), and the
    `distinct` programs up to layout and names. With the `model` that wrote the answers it also has, for the first one,
    the sum of its next-token entropies in nats (`nats`) and its number of tokens (`tokens`).

    Raises UserError when a file is broken or an answer has no verdict.
    """
    by_problem = records_by_question(folder)
    rows = [measure_problem(question, answers) for question, answers in by_problem.items()]
    if model is not None:
        from analysis.measures.next_token_entropy import sum_entropies  # here, since loading torch takes seconds

        first_answers = [answers[0] for answers in by_problem.values()]
        for row, (nats, tokens) in zip(rows, sum_entropies(first_answers, model), strict=True):
            row |= {"nats": nats, "tokens": tokens}
    write_json(folder / MEASURED, {"problems": rows})


def measure_problem(question: int, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A problem's row without its entropies."""
    problem = answers[0]["metadata"]
    programs = programs_in(answers)
    return {
        "question_id": question,
        **{key: problem[key] for key in ("group", "difficulty")},
        "family": family_of(problem["name"]),
        "samples": len(answers),
        "correct": sum(is_correct(answer) for answer in answers),
        "programs": len(programs),
        "in_format": sum(is_in_format(answer["generated_text"], answer["finish_reason"]) for answer in answers),
        "distinct": len(set(map(normalise, programs))),
    }
