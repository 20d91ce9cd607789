"""The measures of one run of the study, by problem: verdicts, format, diversity and entropy.

What a run's thousands of files say is kept beside them in one small file, MEASURED, from which all figures are made.
"""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.measures.distinct_programs import normalise
from hindsight.errors import UserError
from hindsight.files import answer_files, records
from hindsight.text.code_blocks import extract_code
from hindsight.text.uniform_format import split_uniform
from lab.world.pipelines import family_of

if TYPE_CHECKING:  # it loads torch and transformers, for seconds
    from analysis.measures.next_token_entropy import Source

MEASURED = "measured.json"


def measure_run(folder: Path, source: "Source | None") -> None:
    """Reads a checked run and writes its MEASURED: {"problems": [a row each]}.

    A row has the problem's `question_id`, `group`, `family` and `difficulty`, and of its answers the number of all
    (`samples`), of those that are `correct`, of those that hold a program (`programs`) and of those that keep to the
    uniform format exactly (`in_format`); how many of the programs are `distinct` but for layout and names; and, of the
    first answer, the sum of next-token entropies in nats and its tokens (`nats`, `tokens`), by `source`, the model that
    wrote it, where there is one.

    Raises UserError when a file is broken or an answer has no verdict.
    """
    broken: list[str] = []
    files = {**answer_files.list_files(folder, "sample"), **answer_files.list_files(folder, "converted")}
    by_problem: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for _, record in records.read_records(dict(sorted(files.items())), ("generated_text", "metadata"), broken):
        by_problem[record["question_id"]].append(record)
    if broken:
        raise UserError(f"{len(broken)} files of {folder} are broken, the first: {broken[0]}")
    rows = [measure_problem(question, answers) for question, answers in by_problem.items()]
    if source is not None:
        firsts = [answers[0] for answers in by_problem.values()]
        for row, (nats, tokens) in zip(rows, read_entropies(firsts, source), strict=True):
            row |= {"nats": nats, "tokens": tokens}
    records.write_json(folder / MEASURED, {"problems": rows})


def measure_problem(question: int, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """A problem's row without its entropies."""
    problem = answers[0]["metadata"]
    codes = [extract_code(answer["converted_text"]) for answer in answers if "converted_text" in answer]
    programs = [code for code in codes if code is not None]
    return {
        "question_id": question,
        **{key: problem[key] for key in ("group", "difficulty")},
        "family": family_of(problem["name"]),
        "samples": len(answers),
        "correct": sum(is_correct(answer) for answer in answers),
        "programs": len(programs),
        "in_format": sum(map(is_in_format, answers)),
        "distinct": len(set(map(normalise, programs))),
    }


def is_correct(answer: dict[str, Any]) -> bool:
    """An answer that nobody could convert is wrong. Raises UserError for one that was not judged."""
    if "converted_text" not in answer:
        return False
    if not isinstance(answer.get("correctness"), bool):
        raise UserError(f"question {answer['question_id']} sample {answer['sample_index']} has no verdict")
    return answer["correctness"]


def is_in_format(answer: dict[str, Any]) -> bool:
    """Whether the model's own text ends by itself and is two sections in the uniform format, with a program."""
    text = answer["generated_text"]
    return answer["finish_reason"] == "stop" and split_uniform(text) is not None and extract_code(text) is not None


def read_entropies(answers: list[dict[str, Any]], source: "Source") -> list[tuple[float, int]]:
    """Of each answer the sum of the entropies, in nats, before each of its tokens, and the number of these."""
    import torch

    from analysis.measures.next_token_entropy import answer_entropies, context_and_answer, load_checkpoint

    torch.set_num_threads(1)  # others compute at the same time
    model, tokenizer = load_checkpoint(source)
    found = answer_entropies(model, [context_and_answer(answer, tokenizer) for answer in answers])
    return [(float(values.sum()), len(values)) for values in found]
