"""The counts of one checked run, per problem."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.measures.program_diversity import effective_programs, normalise
from analysis.reading.checked_runs import is_correct, programs_in, records_by_question
from hindsight.errors import UserError

# A checkpoint, or (start, fine-tuned model, alpha, method) of a merge: what `next_token_entropy.load_checkpoint` takes.
Model = str | Path | tuple
Counts = dict[str, list[float | None]]


def measure_run(folder: Path, questions: Sequence[int], model: Model | None, every: int) -> Counts:
    """The counts of a checked run (`results.COUNTED`), in the order of the questions.

    `model` is the model that wrote the answers, whose next-token entropies are summed along the first answer to every
    `every`th problem; None, or 0: they are not measured. Raises UserError when a file is broken, an answer has no
    verdict, or a question has no answer.
    """
    answers = records_by_question(folder)
    missing = [question for question in questions if question not in answers]
    if missing:
        raise UserError(f"{folder} has no answer to {len(missing)} of its problems, the first: {missing[0]}")
    rows = [_count(answers[question]) for question in questions]
    counts: Counts = {key: [row[key] for row in rows] for key in rows[0]}
    counts["nats"], counts["entropy_tokens"] = [None] * len(rows), [None] * len(rows)
    if model is not None and every:
        from analysis.measures.next_token_entropy import sum_entropies  # here, since loading torch takes seconds

        chosen = range(0, len(questions), every)
        found = sum_entropies([answers[questions[number]][0] for number in chosen], model)
        for number, (nats, tokens) in zip(chosen, found, strict=True):
            counts["nats"][number], counts["entropy_tokens"][number] = round(nats, 2), tokens
    return counts


def _count(answers: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The counts of the answers to one problem, without entropies."""
    programs = programs_in(answers)
    lengths = [answer.get("usage", {}).get("completion_tokens") for answer in answers]
    return {
        "samples": len(answers),
        "correct": sum(is_correct(answer) for answer in answers),
        "base_correct": sum(
            answer["base_status"] == "pass" if "base_status" in answer else is_correct(answer) for answer in answers
        ),  # of tests that are not divided into base and plus: all
        "programs": len(programs),
        "distinct": len(set(map(normalise, programs))),
        "vendi": round(effective_programs(programs), 4) if programs else None,
        "ended": sum(answer.get("finish_reason") == "stop" for answer in answers),
        "tokens": None if None in lengths else sum(lengths),
    }
