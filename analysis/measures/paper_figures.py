"""The paper's own figures beside those of runs, and what the faults of its checker do to such figures.

The figures are those of the paper's repository: the share of answers that its checker calls correct, and of those in
which it finds no code, by alpha (0: the base model, 1: the fine-tuned one).
"""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from analysis.measures.correctness import pass_at_k
from analysis.reading.answers import NOT_CONVERTED, Answer, run_folder
from hindsight.files import answer_files, records
from hindsight.files.verdicts import NO_CODE
from hindsight.pass_at_k.estimators import Estimate, estimate_mean
from hindsight.problem_sets.problem_lookup import ProblemLookup
from SkyThought.judges import JudgeOptions, judge_all, problem_to_judge
from SkyThought.local_judges import LocalJudges
from SkyThought.sandbox.layers import LAYERS

CORRECT, WITHOUT_CODE = "correct", "without code"
PAPER = {
    CORRECT: {0.0: 0.105, 0.5: 0.163, 0.7: 0.250, 1.0: 0.327},
    WITHOUT_CODE: {0.0: 0.556, 0.5: 0.300, 0.7: 0.166, 1.0: 0.105},
}
BY_BOTH, BY_THE_PAPER, BY_OURS = "correct by both", "only by the paper's checker", "only by ours"
STEP_3 = JudgeOptions(timeout=4.0, memory_mb=4096, sandbox=LAYERS, unsafe=False, reference_rules=True)

Verdicts = dict[tuple[int, int], bool]


def shares_by_alpha(runs: dict[float, Sequence[Answer]]) -> dict[str, dict[float, Estimate]]:
    """The shares that PAPER has, of runs by alpha: means over problems, with intervals."""
    verdicts = {CORRECT: ("correct",), WITHOUT_CODE: (NO_CODE, NOT_CONVERTED)}
    return {
        name: {alpha: share_of(answers, wanted) for alpha, answers in runs.items()} for name, wanted in verdicts.items()
    }


def share_of(answers: Sequence[Answer], verdicts: Sequence[str]) -> Estimate:
    """The share of answers with one of the verdicts, the mean over problems."""
    problems: dict[int, list[bool]] = {}
    for answer in answers:
        problems.setdefault(answer.question_id, []).append(answer.verdict in verdicts)
    return estimate_mean({question: sum(found) / len(found) for question, found in problems.items()})


def judge_by_the_papers_rules(run: str) -> Verdicts:
    """Whether each converted answer of a run is correct by the rules of the paper's checker (`reference_rules`).

    The programs are run again; the run's files are left as they are.
    """
    lookup, files = ProblemLookup(""), answer_files.list_files(run_folder(run), "converted")
    workers = len(os.sched_getaffinity(0))
    with closing(LocalJudges(workers, STEP_3)) as judges:
        programs = (
            (key, problem_to_judge(key[0], lookup.problem(record).get("input_output")),
             judges.find_program(record["converted_text"]))
            for key, record in ((key, records.read_record(path)) for key, path in files.items())
        )  # fmt: skip
        return {key: bool(verdict["correctness"]) for key, verdict in judge_all(judges, programs)}


def by_other_verdicts(answers: Sequence[Answer], verdicts: Verdicts) -> list[Answer]:
    """The answers with other verdicts; those that have none there, as they were not converted, are not correct."""
    other = {True: "correct", False: "incorrect"}
    return [
        replace(answer, verdict=other[verdicts.get((answer.question_id, answer.sample_index), False)])
        for answer in answers
    ]


def compare_rules(runs: dict[str, list[Answer]], verdicts: dict[str, Verdicts]) -> list[dict[str, Any]]:
    """A table's row for each run: answers correct by both rules, by one alone, and what ours says of these."""
    rows = []
    for run, answers in runs.items():
        by_theirs = by_other_verdicts(answers, verdicts[run])
        pairs = list(zip(answers, by_theirs, strict=True))
        alone = Counter(ours.verdict for ours, theirs in pairs if theirs.is_correct and not ours.is_correct)
        rows.append(
            {
                "run": run,
                "answers": len(answers),
                BY_BOTH: sum(ours.is_correct and theirs.is_correct for ours, theirs in pairs),
                BY_THE_PAPER: alone.total(),
                "which are": ", ".join(f"{verdict} {count}" for verdict, count in alone.most_common()) or "-",
                BY_OURS: sum(ours.is_correct and not theirs.is_correct for ours, theirs in pairs),
            }
        )
    return rows


def pass_at_k_by_both(
    runs: dict[str, list[Answer]], verdicts: dict[str, Verdicts], k: int
) -> dict[str, dict[str, Estimate]]:
    """pass@k of each run by our verdicts and by the paper's."""
    return {
        run: {
            "ours": pass_at_k(answers, [k])[k],
            "the paper's": pass_at_k(by_other_verdicts(answers, verdicts[run]), [k])[k],
        }
        for run, answers in runs.items()
    }
