"""Verdicts by the rules of the paper's checker compared with ours: which of its faults change which figures."""

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

from analysis.measures.correctness import pass_at_k
from analysis.reading.answers import Answer
from analysis.reading.run_folders import run_folder
from hindsight.files import answer_files, records
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.estimators import Estimate
from hindsight.problem_sets.problem_lookup import ProblemLookup
from SkyThought.judges import JudgeOptions, ProblemToJudge, judge_all
from SkyThought.local_judges import LocalJudges
from SkyThought.problem_tests import read_tests
from SkyThought.sandbox.layers import LAYERS

BY_BOTH, ONLY_PAPER, ONLY_OURS = "correct by both", "only by the paper's checker", "only by ours"
AS_STEP_3 = JudgeOptions(timeout=4.0, memory_mb=4096, sandbox=LAYERS, unsafe=False, reference_rules=True)

Verdicts = dict[tuple[int, int], bool]  # by (question_id, sample_index)


def judge_by_the_papers_rules(runs: Iterable[str]) -> dict[str, Verdicts]:
    """For each run, whether each converted answer is correct by the rules of the paper's checker (`reference_rules`).

    The programs are run again, by the same judges for all runs; the files of the runs do not change.
    """
    lookup, workers = ProblemLookup(""), len(os.sched_getaffinity(0))
    verdicts: dict[str, Verdicts] = {run: {} for run in runs}
    with closing(LocalJudges(workers, AS_STEP_3)) as judges:
        programs = (
            ((run, key), problem, judges.find_program(record["converted_text"], problem.tests))
            for run in verdicts
            for key, path in answer_files.list_files(run_folder(run), "converted").items()
            for record in [records.read_record(path)]
            for problem in [ProblemToJudge(key[0], read_tests(lookup.problem(record).get("input_output")))]
        )  # fmt: skip
        for (run, key), verdict in judge_all(judges, programs):
            verdicts[run][key] = bool(verdict["correctness"])
    return verdicts


def with_verdicts(answers: Iterable[Answer], verdicts: Verdicts) -> list[Answer]:
    """The answers with other verdicts. An answer without one was not converted, and counts as wrong."""
    outcomes = {True: Outcome.CORRECT, False: Outcome.WRONG}
    found = ((answer, outcomes[verdicts.get(answer.key, False)]) for answer in answers)
    return [replace(answer, outcome=outcome, verdict=str(outcome)) for answer, outcome in found]


def compare_rules(runs: dict[str, list[Answer]], verdicts: dict[str, Verdicts]) -> list[dict[str, Any]]:
    """A table row per run: answers correct by both rules or by one, and our verdicts on those only theirs accept."""
    rows = []
    for run, answers in runs.items():
        pairs = list(zip(answers, with_verdicts(answers, verdicts[run]), strict=True))
        only_paper = Counter(ours.verdict for ours, theirs in pairs if theirs.is_correct and not ours.is_correct)
        rows.append(
            {
                "run": run,
                "answers": len(answers),
                BY_BOTH: sum(ours.is_correct and theirs.is_correct for ours, theirs in pairs),
                ONLY_PAPER: only_paper.total(),
                "our verdicts on these": ", ".join(f"{name} {count}" for name, count in only_paper.most_common())
                or "-",
                ONLY_OURS: sum(ours.is_correct and not theirs.is_correct for ours, theirs in pairs),
            }
        )
    return rows


def pass_at_k_by_both(
    runs: dict[str, list[Answer]], verdicts: dict[str, Verdicts], k: int
) -> dict[str, dict[str, Estimate]]:
    """pass@k of each run by our verdicts and by the paper's rules."""
    return {
        run: {
            "ours": pass_at_k(answers, [k])[k],
            "the paper's": pass_at_k(with_verdicts(answers, verdicts[run]), [k])[k],
        }
        for run, answers in runs.items()
    }
