"""A run folder as a folder of a dataset, and back.

    alpha_0.7/answers.parquet       a row per answer, see `rows`
    alpha_0.7/run.json              and the run folder's other files beside its answers, unchanged:
    alpha_0.7/no_answers.json       step 2's list of the raw files without an answer
    alpha_0.7/question_3_sample_1.json   a broken file, which is not an answer

The Parquet file's metadata has the digest of the run: the SHA-256 of the sorted lines `name SHA-256`, one per file.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from analysis.run_dataset.rows import KINDS, SCHEMA, TEXTS, AnswerRow, make_row, restore
from hindsight.errors import UserError, require, require_utf8
from hindsight.files import answer_files
from hindsight.files.runs import RUN_FILE, alpha_of_run, raw_folder, read_run

ANSWERS, PARTIAL = "answers.parquet", "answers.parquet.part"
BESIDE = (RUN_FILE, answer_files.NO_ANSWERS)  # files of a run folder that are not answers
REBUILT = ("verdicts.json",)  # step 5 makes it again
VERSION = 1  # of this form
MARK = b"hindsight_run"  # the key of our part of the Parquet file's metadata
GROUP_ROWS, GROUP_BYTES = 1000, 64_000_000  # of a group of rows, which is in memory at once
PATHS = {"sample": answer_files.sample_path, "converted": answer_files.converted_path}
PATHS |= {"embedded": answer_files.embedded_path}


@dataclass
class RunFiles:
    """The files of a run folder: those of each answer by kind and (question_id, sample_index), and those beside them.

    `left_out`: the names of files that are not part of a run.
    """

    folder: Path
    answers: dict[str, dict[tuple[int, int], Path]]
    beside: list[Path]
    left_out: list[str]

    @property
    def keys(self) -> list[tuple[int, int]]:
        return sorted(set().union(*self.answers.values()))


@dataclass
class RunSummary:
    """What was written of a run: the number of answers by outcome, and a sentence for each broken file."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, row: AnswerRow) -> None:
        self.outcomes.update([row.values["outcome"]] if row.contents and row.values["outcome"] else [])
        self.broken += row.broken.values()


def run_name(folder: Path) -> str:
    """The name of a run in a dataset. Raises UserError for a folder whose name `load_dataset` would not take."""
    name = folder.resolve().name
    require_utf8(Path(name))
    require(
        bool(name) and not name.startswith(".") and not set(name) & set("<>:/\\|?*"),
        f"{folder} cannot be part of a dataset: its name has one of <>:/\\|?* or begins with a dot",
    )
    return name


def find_files(folder: Path) -> RunFiles:
    """The files of a run folder. Raises UserError if it is missing or has no answers."""
    require(folder.is_dir(), f"there is no folder {folder}")
    raw = raw_folder(folder)
    kinds = {"sample": raw, "converted": folder, "embedded": folder}
    answers = {kind: answer_files.list_files(where, kind) for kind, where in kinds.items()}
    require(any(answers.values()), f"{folder} is not a run folder: it has no answers")
    known = {path.name for files in answers.values() for path in files.values()}
    beside = [folder / name for name in BESIDE if (folder / name).is_file()]
    rest = sorted(path.name for path in folder.iterdir() if path.name not in known and not path.name.startswith("."))
    return RunFiles(folder, answers, beside, [name for name in rest if name not in (*BESIDE, *REBUILT)])


def write_run(files: RunFiles, output: Path) -> RunSummary:
    """Writes a run folder as a folder of a dataset; the same run gives the same bytes. Removes its earlier content.

    Raises UserError if no answer can be read.
    """
    output.mkdir(parents=True, exist_ok=True)
    summary, digests = RunSummary(run_name(files.folder)), {}
    beside = {path.name: path for path in files.beside}
    partial = output / PARTIAL
    with pq.ParquetWriter(partial, SCHEMA, compression="zstd", use_content_defined_chunking=True) as writer:
        for group in _groups(_rows(files, summary.name)):
            writer.write_table(pa.Table.from_pylist([row.values for row in group if row.contents], SCHEMA))
            for row in group:
                summary.add(row)
                beside |= {path.name: path for path in row.broken}
                digests |= {_file_name(kind, row.values): _digest(each) for kind, each in row.contents.items()}
        require(bool(digests), f"no answer of {files.folder} can be read, for example: {''.join(summary.broken[:1])}")
        digests |= {name: _digest(path.read_bytes()) for name, path in beside.items()}
        made = {"version": VERSION, "run": summary.name, "files": len(digests), "digest": _digest_of_run(digests)}
        writer.add_key_value_metadata({MARK: json.dumps(made)})
    partial.replace(output / ANSWERS)
    for name, path in beside.items():
        shutil.copyfile(path, output / name)
    for path in output.iterdir():
        if path.is_file() and path.name not in (*beside, ANSWERS):
            path.unlink()
    return summary


def _rows(files: RunFiles, name: str) -> Iterator[AnswerRow]:
    """The row of each answer, in order."""
    run = read_run(files.folder)
    model, alpha = " and ".join(run.get("models") or []), alpha_of_run(run)
    for key in tqdm(files.keys, desc=name, unit="answer", leave=False, disable=None):
        paths = {kind: files.answers[kind][key] for kind in KINDS if key in files.answers[kind]}
        yield make_row(key, paths, model, alpha)


def _groups(rows: Iterable[AnswerRow]) -> Iterator[list[AnswerRow]]:
    """The same in groups, each of which is in memory at once."""
    group: list[AnswerRow] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(map(len, row.contents.values()))
        if len(group) >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _file_name(kind: str, row: Mapping[str, Any]) -> str:
    return PATHS[kind](Path(), row["question_id"], row["sample_index"]).name


def runs_in(dataset: Path) -> dict[str, Path]:
    """The folders of the runs in a dataset's folder, by name; none if `push_run.py` did not make it."""
    found = {path.parent.name: path.parent for path in sorted(dataset.glob(f"*/{ANSWERS}"))}
    return {name: folder for name, folder in found.items() if _made(folder)}


def read_back(source: Path, output: Path) -> int:
    """Writes the run folder that `write_run` was given; returns the number of its files.

    A folder that already holds the same is kept. Raises UserError if the output holds something else, or if the
    dataset's files were changed after they were written.
    """
    made = _made(source)
    require(made.get("version") == VERSION, f"{source} was written by another version of push_run.py")
    if output.exists():
        same = output.is_dir() and _digest_of_run(_digests_of_folder(output)) == made["digest"]
        require(same, f"{output} exists and holds something else; choose another --output_dir")
        return made["files"]
    partial, digests = output.with_name(f".{output.name}.partial"), {}
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in _contents(source):
        digests[name] = _digest(content)
        (partial / name).write_bytes(content)
    if _digest_of_run(digests) != made["digest"]:
        shutil.rmtree(partial)
        raise UserError(f"{source} does not hold the files of the run that was pushed: it has been changed since")
    partial.rename(output)
    return made["files"]


def _contents(source: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each file of a run."""
    for path in sorted(source.iterdir()):
        if path.name != ANSWERS:
            yield path.name, path.read_bytes()
    columns = ["question_id", "sample_index", *TEXTS, *(f"{kind}_file" for kind in KINDS)]
    with pq.ParquetFile(source / ANSWERS) as file:
        for batch in file.iter_batches(batch_size=256, columns=columns):
            for row in batch.to_pylist():
                for kind in KINDS:
                    if (content := row[f"{kind}_file"]) is not None:
                        yield _file_name(kind, row), restore(content, row)


def _made(folder: Path) -> dict[str, Any]:
    """Our part of the Parquet file's metadata; empty if it has none."""
    try:
        metadata = pq.read_metadata(folder / ANSWERS).metadata or {}
        return json.loads(metadata.get(MARK, b"{}"))
    except (OSError, pa.ArrowInvalid, ValueError):
        return {}


def _digests_of_folder(folder: Path) -> dict[str, str]:
    """The digests of the files that a run folder would be pushed with."""
    files = find_files(folder)
    paths = [*files.beside, *(path for kind in files.answers.values() for path in kind.values())]
    return {path.name: _digest(path.read_bytes()) for path in paths}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of_run(digests: dict[str, str]) -> str:
    lines = [f"{name} {digest}\n" for name, digest in sorted(digests.items())]
    return "sha256:" + _digest("".join(lines).encode())


def all_files(dataset: Path, names: Sequence[str]) -> dict[str, Path]:
    """The files of a dataset's runs by their paths in it."""
    return {f"{name}/{path.name}": path for name in names for path in sorted((dataset / name).iterdir())}
