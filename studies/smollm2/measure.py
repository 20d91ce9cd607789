"""The counts of one checked run, per problem."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.measures.program_diversity import effective_programs, normalise
from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_records
from hindsight.files.verdicts import Outcome, counts_as
from hindsight.text.program_choice import find_program, target_of

# A checkpoint, or (start, fine-tuned model, alpha, method) of a merge: what `next_token_entropy.load_checkpoint` takes.
Model = str | Path | tuple
Counts = dict[str, list[float | None]]


def measure_run(folder: Path, questions: Sequence[int], model: Model | None, every: int) -> Counts:
    """The counts of a checked run (`results.COUNTED`), in the order of the questions.

    `model` is the model that wrote the answers, whose next-token entropies are summed along the first answer to every
    `every`th problem; None, or 0: they are not measured. Raises UserError when a file is broken, an answer has no
    verdict, or a question has no answer.
    """
    answers = _read_answers(folder)
    missing = [question for question in questions if question not in answers]
    if missing:
        raise UserError(f"{folder} has no answer to {len(missing)} of its problems, the first: {missing[0]}")
    rows = [_count(answers[question]) for question in questions]
    counts: Counts = {key: [row[key] for row in rows] for key in rows[0]}
    counts["nats"], counts["entropy_tokens"] = [None] * len(rows), [None] * len(rows)
    if model is not None and every:
        chosen = range(0, len(questions), every)
        found = _sum_entropies([answers[questions[number]][0] for number in chosen], model)
        for number, (nats, tokens) in zip(chosen, found, strict=True):
            counts["nats"][number], counts["entropy_tokens"][number] = round(nats, 2), tokens
    return counts


def _read_answers(folder: Path) -> dict[int, list[Any]]:
    """The records of a run by question, each in order of its samples."""
    broken: list[str] = []
    files = {**list_files(folder, "sample"), **list_files(folder, "converted")}
    found: dict[int, list[Any]] = defaultdict(list)
    for _, record in read_records(dict(sorted(files.items())), ("generated_text", "metadata"), broken):
        found[record["question_id"]].append(record)
    if broken:
        raise UserError(f"{len(broken)} files of {folder} are broken, the first: {broken[0]}")
    return found


def _count(answers: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The counts of the answers to one problem, without entropies."""
    found = [find_program(answer["converted_text"], target_of(answer["metadata"])) for answer in answers
             if "converted_text" in answer]  # fmt: skip
    programs = [program for program in found if program is not None]
    lengths = [answer.get("usage", {}).get("completion_tokens") for answer in answers]
    return {
        "samples": len(answers),
        "correct": sum(_is_correct(answer) for answer in answers),
        "base_correct": sum(answer.get("base_status") == "pass" or _has_one_kind(answer) for answer in answers),
        "programs": len(programs),
        "distinct": len(set(map(normalise, programs))),
        "vendi": round(effective_programs(programs), 4) if programs else None,
        "ended": sum(answer.get("finish_reason") == "stop" for answer in answers),
        "tokens": None if None in lengths else sum(lengths),
    }


def _is_correct(answer: Mapping[str, Any]) -> bool:
    """Whether an answer counts as correct. Raises UserError for one without a verdict."""
    outcome = counts_as(answer)
    if not outcome.is_sample:
        raise UserError(f"question {answer['question_id']} sample {answer['sample_index']} has no verdict: {outcome}")
    return outcome is Outcome.CORRECT


def _has_one_kind(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is correct and its tests are not divided into base and plus."""
    return "base_status" not in answer and _is_correct(answer)


def _sum_entropies(answers: Sequence[Any], model: Model) -> list[tuple[float, int]]:
    """For each answer, the sum of its next-token entropies in nats, and its number of tokens."""
    import torch  # here, since loading torch and transformers takes seconds

    from analysis.measures.next_token_entropy import answer_entropies, context_and_answer, load_checkpoint

    torch.set_num_threads(1)  # other processes compute at the same time
    loaded, tokenizer = load_checkpoint(model)
    found = answer_entropies(loaded, [context_and_answer(answer, tokenizer) for answer in answers])
    return [(float(values.sum()), len(values)) for values in found]
