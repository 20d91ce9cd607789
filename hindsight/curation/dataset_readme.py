"""The README.md of a folder of datasets, by which `datasets.load_dataset(folder)` finds their rows.

Without it, `load_dataset` guesses from the names of all files. It opens all configurations of a folder in the format of
the first one, so the file lists the datasets of one format: that of the dataset that was written last.
"""

import json
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile
from hindsight.files import records

MARK = "<!-- written by convert_to_data.py -->"


def data_files(report: dict[str, Any]) -> dict[str, str]:
    """The name of each split's file, without splits that have no row: `load_dataset` cannot open an empty file."""
    return {split: file["name"] for split, file in report["files"].items() if file["rows"]}


def config_lines(name: str, files: dict[str, str]) -> list[str]:
    """The lines of YAML that tell `load_dataset` the file of each split; it reads a file's name as a pattern."""
    splits = [f"  - split: {split}\n    path: {json.dumps(escape(file))}" for split, file in files.items()]
    return [f"- config_name: {json.dumps(name)}", "  data_files:", *splits]


def write_readme(folder: Path, report: dict[str, Any]) -> bool:
    """Writes README.md for the datasets whose reports are in a folder, `report` being that of the newest.

    Returns False if somebody else wrote the folder's README.md, which then stays.
    """
    path = folder / "README.md"
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return False
    suffix, datasets = Path(report["files"]["train"]["name"]).suffix, {}
    for other in sorted(folder.glob("*.report.json")):
        with suppress(BrokenFile, KeyError, TypeError, AttributeError):  # not a report of a dataset
            found = records.read_record(other, ("name", "files"))
            if Path(found["files"]["train"]["name"]).suffix == suffix:
                datasets[found["name"]] = data_files(found)
    lines = ["---", "configs:"]
    lines += [line for name, files in datasets.items() for line in config_lines(name, files)]
    lines += [
        "---",
        MARK,
        "",
        "# Datasets",
        "",
        "`datasets.load_dataset(FOLDER, NAME)` reads those of this folder:",
        "",
    ]
    lines += [f"- `{name}`: {', '.join(files)} ([card](<{name}.card.md>))" for name, files in datasets.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return True
