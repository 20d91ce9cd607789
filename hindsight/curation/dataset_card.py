"""What a dataset is made of: the report, as JSON, the card, which is the same for people, and its way to the Hub.

The card is Markdown with the Hub's metadata on top (huggingface.co/docs/hub/datasets-cards), so that `load_dataset`
knows the splits of what has been pushed.
"""

import json
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.files.runs import RUN_FILE, read_run
from hindsight.problem_sets.local_files import file_digest

JUDGED_BY_REFERENCE = "by the rules of the paper's checker, which take a program that times out for correct"


def describe_folder(folder: Path) -> dict[str, Any]:
    """What a run folder's run.json says of it: script, models, alpha, problems, how it was judged; its digest."""
    run = read_run(folder)
    if run is None:
        return {"folder": str(folder)}
    settings, judged = run.get("settings", {}), run["steps"].get("check_converted_samples.py") or {}
    problems = {key: value for key, value in run.get("problems", {}).items() if key not in ("count", "question_ids")}
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
    """Writes the card of a report, as `convert_to_data.py` makes it."""
    path.write_text("\n\n".join([_metadata(report), *_sections(report)]) + "\n", encoding="utf-8")


def _metadata(report: dict[str, Any]) -> str:
    files = [f"  - split: {split}\n    path: {file['name']}" for split, file in report["files"].items()]
    lines = ["---", "task_categories:", "- text-generation", "language:", "- en", "tags:", "- code"]
    lines += ["configs:", "- config_name: default", "  data_files:", *files, "---"]
    return "\n".join(lines)


def _sections(report: dict[str, Any]) -> list[str]:
    files, folders = report["files"], report["folders"]
    rows = sum(file["rows"] for file in files.values())
    return [
        f"# {report['name']}",
        f"{rows:,} answers of language models to {sum(file['problems'] for file in files.values()):,} programming "
        "problems, each a thought and a solution, made by `convert_to_data.py` of Hindsight Merging. No problem is in "
        "two splits.",
        "## Files",
        _table(
            ["split", "file", "rows", "problems", "longest row", "SHA-256"],
            [
                [split, file["name"], file["rows"], file["problems"], f"{file['longest']} {report['unit']}",
                 f"`{file['digest'].removeprefix('sha256:')}`"]
                for split, file in files.items()
            ],
        ),
        f"Where every row came from is in `{report['sources']}`, a line a row: the answer's file, its question and "
        "sample, and the SHA-256 of its text.",
        "## Runs",
        _table(
            ["folder", "models", "problems", "answers", "rows", "share"],
            [
                [folder["folder"], _models(folder), _problems(folder), folder["answers"], folder["rows"],
                 f"{folder['rows'] / rows:.3f}" if rows else "0"]
                for folder in folders
            ],
        ),
        *[f"**{folder['folder']} was judged {folder['judged']}.**" for folder in folders if folder.get("judged")],
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
    ]  # fmt: skip


def _contaminated(report: dict[str, Any]) -> list[str]:
    if not report["compared_with"]:
        return ["No problem was compared with any test problem."]
    said = f"Problems were compared with {report['compared_with']:,} test problems"
    if not report["contaminated"]:
        return [f"{said}; none was left out for it."]
    worst = sorted(report["contaminated"].items(), key=lambda item: -item[1][0])
    rows = [[problem, f"{share:.2f}", test] for problem, (share, test) in worst]
    return [f"{said}. These were left out:", _table(["problem", "n-grams in common", "with"], rows)]


def _models(folder: dict[str, Any]) -> str:
    merged = folder.get("merged_from")
    models = ", ".join(folder.get("models") or []) or "not known"
    return f"{models} ({merged[0]} and {merged[1]} merged at alpha {merged[2]})" if merged else models


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


def push_to_hub(repository: str, files: list[Path], card: Path) -> str:
    """Puts the files and the card, as its README.md, into a data set of the Hub in one commit; its address.

    The data set is created, private, where it is not there. Raises UserError when the Hub does not take it.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    added = [CommitOperationAdd(path.name, str(path)) for path in files]
    added.append(CommitOperationAdd("README.md", str(card)))
    try:
        api = HfApi()
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        return str(api.create_commit(repository, added, repo_type="dataset", commit_message="convert_to_data.py"))
    except Exception as error:  # the Hub's client lets the errors of several HTTP libraries through
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the dataset is written, but the Hub did not take {repository}: {reason}") from None
