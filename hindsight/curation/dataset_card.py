"""The card of a dataset, which tells people what it is made of, and the facts about its run folders.

The card is Markdown that starts with the Hub's metadata (huggingface.co/docs/hub/datasets-cards), so that
`load_dataset` knows the splits of a published dataset.
"""

import json
from pathlib import Path
from typing import Any

from hindsight.curation.dataset_readme import config_lines, data_files
from hindsight.files.runs import RUN_FILE, alpha_of_run, read_run
from hindsight.problem_sets.local_files import file_digest

LISTS = ("count", "question_ids", "without_tests")  # what an entry of run.json says about single problems
JUDGED_BY_REFERENCE = "by the rules of the paper's checker, which count a program that times out as correct"


def describe_folder(folder: Path) -> dict[str, Any]:
    """What run.json records about a run folder: script, models, alpha, problems, judge's rules, and its digest."""
    if not (folder / RUN_FILE).exists():
        return {"folder": str(folder)}
    run = read_run(folder)
    settings, judged = run.get("settings", {}), run["steps"].get("check_converted_samples.py") or {}
    problems = {key: value for key, value in run.get("problems", {}).items() if key not in LISTS}
    facts = {
        "script": run["script"],
        "models": run.get("models"),
        "merged_from": settings.get("merged_from") or None,
        "problems": problems or None,
        "judged": JUDGED_BY_REFERENCE if judged.get("settings", {}).get("reference_rules") else None,
        "digest": file_digest(folder / RUN_FILE),
    }
    return {"folder": str(folder), **{key: value for key, value in facts.items() if value}}


def write_card(path: Path, report: dict[str, Any]) -> None:
    """Writes the card of a report by `dataset_files.write_dataset`."""
    path.write_text("\n\n".join([_metadata(report), *_sections(report)]) + "\n", encoding="utf-8")


def _metadata(report: dict[str, Any]) -> str:
    lines = ["---", "task_categories:", "- text-generation", "language:", "- en", "tags:", "- code"]
    return "\n".join([*lines, "configs:", *config_lines("default", data_files(report)), "---"])


def _sections(report: dict[str, Any]) -> list[str]:
    files, folders = report["files"].values(), report["folders"]
    rows, problems = (sum(file[key] for file in files) for key in ("rows", "problems"))
    return [
        f"# {report['name']}",
        f"{rows:,} answers of language models to {problems:,} programming problems, {_parts(report)}, "
        "made by `convert_to_data.py` of Hindsight Merging. No problem is in two splits.",
        "## Files",
        _files_table(report),
        f"`{report['sources']}` has a line per row with its source: the answer's file, its question and sample, and "
        "the SHA-256 of its text.",
        "## Runs",
        _runs_table(folders, rows),
        *[f"**{folder['folder']} was judged {folder['judged']}.**" for folder in folders if folder.get("judged")],
        *[
            f"**{folder['other_prompts']:,} rows of {folder['folder']} do not have the prompts that their answers were "
            "sampled with.**"
            for folder in folders
            if folder.get("other_prompts")
        ],
        "## Filters",
        "Each answer is counted once, by the first filter that left it out.",
        _table(
            ["", *(folder["folder"] for folder in folders)],
            [[name, *counts] for name, counts in report["counts"].items()],
        ),
        *_contaminated(report),
        "## Settings",
        _table(["", ""], [[f"`{name}`", f"`{json.dumps(value)}`"] for name, value in report["settings"].items()]),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + ".",
    ]


def _parts(report: dict[str, Any]) -> str:
    """What each row's answer holds."""
    style = report["settings"].get("prompt_style")
    return f"each a program after a prompt of PROMPT_STYLE {style}" if style else "each with a thought and a solution"


def _files_table(report: dict[str, Any]) -> str:
    header = ["split", "file", "rows", "problems", "longest row", "SHA-256"]
    rows = []
    for split, file in report["files"].items():
        longest, digest = f"{file['longest']} {report['unit']}", f"`{file['digest'].removeprefix('sha256:')}`"
        rows.append([split, file["name"], file["rows"], file["problems"], longest, digest])
    return _table(header, rows)


def _runs_table(folders: list[dict[str, Any]], rows: int) -> str:
    table = []
    for folder in folders:
        share = f"{folder['rows'] / rows:.3f}" if rows else "0"
        facts = [folder["folder"], _models(folder), _problems(folder), folder["answers"], folder["rows"], share]
        table.append(facts)
    return _table(["folder", "models", "problems", "answers", "rows", "share"], table)


def _contaminated(report: dict[str, Any]) -> list[str]:
    if not report["compared_with"]:
        return ["No problem was compared with a test problem."]
    compared = f"Problems were compared with {report['compared_with']:,} test problems"
    if not report["contaminated"]:
        return [f"{compared}; none was similar enough to be left out."]
    worst = sorted(report["contaminated"].items(), key=lambda item: -item[1][0])
    rows = [[problem, f"{share:.2f}", test] for problem, (share, test) in worst]
    return [f"{compared}. These were left out:", _table(["problem", "n-grams in common", "with"], rows)]


def _models(folder: dict[str, Any]) -> str:
    merged, alpha = folder.get("merged_from"), alpha_of_run({"settings": folder})
    models = ", ".join(folder.get("models") or []) or "not known"
    return f"{models} ({merged[0]} and {merged[1]} merged at alpha {alpha})" if merged else models


def _problems(folder: dict[str, Any]) -> str:
    problems = folder.get("problems")
    if not problems:
        return "not known"
    version = problems.get("revision") or problems.get("digest") or ""
    return " ".join(word for word in (problems.get("dataset"), problems.get("split"), f"`{version}`") if word)


def _table(header: list[Any], rows: list[list[Any]]) -> str:
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in cells)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")
