"""Keeps the counts of a run folder in its `verdicts.json`, as reading 100,000 answers takes seconds.

The counts hold as long as no answer file has changed, by names, sizes and times of change:

    {"digest": "5f7c...", "problems": {"0": {"files": 10, "cut_off": 1, "outcomes": {"correct": 3, "wrong": 7},
                                             "texts": ["00c4..."]}, ...}}
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hindsight.errors import BrokenFile
from hindsight.files.records import read_record, write_json
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.verdict_counts import ProblemCounts

CACHE = "verdicts.json"


def file_state(path: str, stat: os.stat_result) -> str:
    """A file's name, size and time of change."""
    return f"{path[path.rindex('/') :]} {stat.st_size} {stat.st_mtime_ns}"


def chunk_digest(states: Iterable[str]) -> bytes:
    """The digest of the states of a chunk of files."""
    return hashlib.sha256("\n".join(states).encode()).digest()


def run_digest(chunks: Iterable[bytes]) -> str:
    """The digest of a run, from those of its chunks in order."""
    return hashlib.sha256(b"".join(chunks)).hexdigest()


def read_cache(folder: Path, digest: str) -> dict[int, ProblemCounts]:
    """The counts of each problem, if the folder's cache was written for the same digest, else none."""
    try:
        cache = read_record(folder / CACHE, ("digest", "problems"))
        if cache["digest"] != digest:
            return {}
        return {
            int(question): ProblemCounts(
                kept["files"],
                kept["cut_off"],
                Counter({Outcome(name): number for name, number in kept["outcomes"].items()}),
                set(kept["texts"]),
            )
            for question, kept in cache["problems"].items()
        }
    except (BrokenFile, KeyError, ValueError):  # cut off, or of an earlier version
        return {}


def write_cache(folder: Path, digest: str, problems: dict[int, ProblemCounts]) -> None:
    """Writes the cache, unless the folder is somebody else's: then it is read again next time."""
    kept = {str(question): {**vars(each), "texts": sorted(each.texts)} for question, each in problems.items()}
    try:
        write_json(folder / CACHE, {"digest": digest, "problems": kept})
    except PermissionError:
        return
