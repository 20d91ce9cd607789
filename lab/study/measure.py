"""The measures of one run of the study, per problem: verdicts, format, diversity and entropy.

A run has thousands of answer files; MEASURED, one small file beside them, holds all that the figures need.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.measures.program_diversity import normalise
from analysis.reading.answers import is_in_format
from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_records, write_json
from hindsight.files.verdicts import Outcome, counts_as
from hindsight.text.program_choice import find_program, target_of
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
    broken: list[str] = []
    files = {**list_files(folder, "sample"), **list_files(folder, "converted")}
    by_problem: dict[int, list[Any]] = defaultdict(list)
    for _, record in read_records(dict(sorted(files.items())), ("generated_text", "metadata"), broken):
        by_problem[record["question_id"]].append(record)
    if broken:
        raise UserError(f"{len(broken)} files of {folder} are broken, the first: {broken[0]}")
    rows = [measure_problem(question, answers) for question, answers in by_problem.items()]
    if model is not None:
        first_answers = [answers[0] for answers in by_problem.values()]
        for row, (nats, tokens) in zip(rows, sum_entropies(first_answers, model), strict=True):
            row |= {"nats": nats, "tokens": tokens}
    write_json(folder / MEASURED, {"problems": rows})


def measure_problem(question: int, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A problem's row without its entropies."""
    problem = answers[0]["metadata"]
    codes = [
        find_program(answer["converted_text"], target_of(problem)) for answer in answers if "converted_text" in answer
    ]
    programs = [code for code in codes if code is not None]
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


def is_correct(answer: dict[str, Any]) -> bool:
    """Whether an answer counts as correct. Raises UserError for one without a verdict."""
    outcome = counts_as(answer)
    if not outcome.is_sample:
        raise UserError(f"question {answer['question_id']} sample {answer['sample_index']} has no verdict: {outcome}")
    return outcome is Outcome.CORRECT


def sum_entropies(answers: Sequence[dict[str, Any]], model: Model) -> list[tuple[float, int]]:
    """For each answer, the sum of its next-token entropies in nats, and its number of tokens."""
    import torch  # here, since loading torch and transformers takes seconds

    from analysis.measures.next_token_entropy import answer_entropies, context_and_answer, load_checkpoint

    torch.set_num_threads(1)  # other processes compute at the same time
    loaded, tokenizer = load_checkpoint(model)
    found = answer_entropies(loaded, [context_and_answer(answer, tokenizer) for answer in answers])
    return [(float(values.sum()), len(values)) for values in found]
