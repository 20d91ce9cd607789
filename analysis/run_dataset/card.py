"""The card of a dataset of runs: README.md, with the metadata by which `load_dataset` finds each run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.display.tables import markdown_table
from analysis.run_dataset.parquet_files import ANSWERS, RunSummary
from hindsight.curation.dataset_card import describe_folder
from hindsight.curation.dataset_readme import config_lines
from hindsight.errors import UserError
from hindsight.files.masks import read_mask
from hindsight.files.runs import alpha_of_run, read_run
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.curves import make_curve
from hindsight.pass_at_k.labels import RunLabel
from hindsight.pass_at_k.run_counts import count_folder

CARD_FILE = "README.md"
KS = (1, 5, 10, 20, 50, 100)

INTRODUCTION = """Answers of language models to programming problems, written by `analysis/push_run.py` of Hindsight
Merging: a row per answer, a configuration per run. The texts, the verdict and what was sent to the server have columns
of their own. `sample_file`, `converted_file` and `embedded_file` are the answer's files, whose long texts are replaced
by marks; `analysis.run_dataset.rows.restore(row["converted_file"], row)` gives the whole file.

    load_dataset("{where}", "{first}", split="train")
    python analysis/pull_run.py --dataset {where}    # the run folders, byte for byte"""
OUTCOMES = """Outcomes: `not converted` and `no code` count as wrong; `not judged` counts as neither right nor wrong;
`not checked` has no verdict yet."""


@dataclass(frozen=True)
class RunFacts:
    """The card's facts about a run: the summary, what run.json has, and pass@k with intervals or why it is missing.

    `few`: the smallest number of samples that a problem has; 0 where they were not counted.
    """

    summary: RunSummary
    run: dict[str, Any]
    facts: dict[str, Any]
    problems: int
    few: int
    pass_at_k: dict[int, str]
    why_none: str = ""


def read_facts(folder: Path, summary: RunSummary, problems: int) -> RunFacts:
    """The facts about a run folder; `problems` is the number of problems with an answer."""
    run, facts = read_run(folder), describe_folder(folder)
    try:
        counts = count_folder(folder, read_mask(""))
        few = int(counts.samples.min())
        ks = [k for k in KS if k <= few]
        if not ks:
            return RunFacts(summary, run, facts, problems, few, {}, "a problem has no sample that counts")
        curve = make_curve(counts, RunLabel(summary.name), ks, False, str(folder))
    except UserError:
        return RunFacts(summary, run, facts, problems, 0, {}, "not all answers are judged")
    intervals = zip(ks, curve.mean, curve.low, curve.high, strict=True)
    values = {k: f"{mean:.3f} [{low:.3f}, {high:.3f}]" for k, mean, low, high in intervals}
    return RunFacts(summary, run, facts, problems, few, values)


def write_card(path: Path, where: str, runs: Sequence[RunFacts]) -> None:
    """Writes the card; `where` is what `load_dataset` is given: the dataset's name or folder."""
    lines = ["---", "task_categories:", "- text-generation", "tags:", "- code", "- hindsight-merging", "configs:"]
    for run in runs:
        lines += config_lines(run.summary.name, {"train": f"{run.summary.name}/{ANSWERS}"})
    first = runs[0].summary.name
    sections = [
        "\n".join([*lines, "---"]),
        f"# {where.rsplit('/', 1)[-1]}",
        INTRODUCTION.format(where=where, first=first),
        "## Runs",
        markdown_table(map(_run_row, runs)),
        "## Verdicts",
        _verdicts(runs),
        OUTCOMES,
        *_not_whole(runs),
        "## pass@k",
        "The unbiased estimate (Chen et al. 2021), with 95 % intervals over problems.",
        _curves(runs),
        *[f"**{run.summary.name} was judged {run.facts['judged']}.**" for run in runs if run.facts.get("judged")],
        "## Settings",
        *[_settings(run) for run in runs],
    ]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _run_row(run: RunFacts) -> dict[str, Any]:
    problems = run.facts.get("problems") or {}
    known = (problems.get("dataset"), problems.get("split"), problems.get("revision") or problems.get("digest"))
    models = ", ".join(run.run.get("models") or []) or "not known"
    if merged := run.facts.get("merged_from"):
        models += f" (merged from {merged[0]} and {merged[1]})"
    return {
        "run": run.summary.name,
        "models": models,
        "alpha": alpha_of_run(run.run) or "",
        "problem set": " ".join(filter(None, known)) or "not known",
        "problems": run.problems,
        "answers": sum(run.summary.outcomes.values()),
    }


def _verdicts(runs: Sequence[RunFacts]) -> str:
    found = [str(outcome) for outcome in Outcome if any(run.summary.outcomes[outcome] for run in runs)]
    return markdown_table(
        {"run": run.summary.name, **{name: run.summary.outcomes[name] for name in found}} for run in runs
    )


def _not_whole(runs: Sequence[RunFacts]) -> list[str]:
    """The runs with broken files, or with samples for which the sampling script got no answer."""
    lines = []
    for run in runs:
        name, broken, missing = run.summary.name, len(run.summary.broken), run.run.get("missing")
        failed = ", ".join(f"{reason}: {number}" for reason, number in (run.run.get("failed") or {}).items())
        lines += [f"- {name}: {broken} broken files, kept beside `{ANSWERS}` as they are"] if broken else []
        lines += [f"- {name}: {missing} samples have no answer ({failed or 'not sampled'})"] if missing else []
    return ["\n".join(lines)] if lines else []


def _curves(runs: Sequence[RunFacts]) -> str:
    ks = sorted({k for run in runs for k in run.pass_at_k})
    return markdown_table(
        {
            "run": run.summary.name,
            "fewest samples per problem": run.few or run.why_none,
            **{f"pass@{k}": run.pass_at_k.get(k, "") for k in ks},
        }
        for run in runs
    )


def _settings(run: RunFacts) -> str:
    """The settings and versions of each script, folded."""
    entries = [run.run, *run.run["steps"].values()]
    known = {entry["script"]: {key: entry.get(key) for key in ("settings", "versions")} for entry in entries
             if entry.get("script")}  # fmt: skip
    content = json.dumps(known, indent=1, ensure_ascii=False)
    return f"<details><summary>{run.summary.name}</summary>\n\n```json\n{content}\n```\n\n</details>"
