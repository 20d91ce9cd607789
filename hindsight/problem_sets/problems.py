"""Problem sets in TACO's schema: the lab's own, a JSONL, Parquet or Arrow file, or a data set of the Hub.

A row (TACO, Li et al. 2023): `question`, `starter_code`, `difficulty`, `solutions` (a JSON list of programs) and
`input_output`, a JSON string:

    {"inputs": ["2\\n5 3\\n"], "outputs": ["YES\\n"]}                              standard input
    {"fn_name": "is_prime", "inputs": [[2], [10]], "outputs": [true, false]}     call-based

A row gets three more keys here: `question_id` (its `task_id` when that is an int, else its number in the set),
`fn_name` (None for standard input) and `origin`, by which later steps find its tests again.
"""

import hashlib
import json
import sys
from array import array
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hindsight.errors import UserError

LAB_FILE = Path(__file__).resolve().parents[2] / "lab" / "problems.jsonl"
TACO = "BAAI/TACO"
REQUIRED = ("question", "input_output")
TESTS = ("input_output", "solutions")

Problem = dict[str, Any]


class ProblemSet:
    """The rows of one source, read from disk one by one: TACO's tests do not fit in memory.

    `source` is "lab", a file, or a Hub name; `split` the part of a Hub data set, or of a file that has a `split`
    column; `revision` that of a Hub data set. Raises UserError when it cannot be read.
    """

    def __init__(self, source: str, split: str = "", revision: str = ""):
        self.source, self.split = source, split
        path = LAB_FILE if source == "lab" else Path(source)
        if path.is_file():
            self._rows = _JsonLines(path) if path.suffix in (".jsonl", ".json") else _arrow_rows(path)
            self.origin = {"dataset": source, "split": split, "digest": file_digest(path)}
        elif source.count("/") == 1 and not path.suffix and not path.parent.exists():
            self._rows, revision = _hub_rows(source, split, revision)
            self.origin = {"dataset": source, "split": split, "revision": revision}
        else:
            raise UserError(f"there is no problem file {path}")

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, number: int) -> Problem:
        """A row with `question_id`, `fn_name` and `origin`. Raises UserError when it lacks a key."""
        row = self.columns(number)
        missing = [key for key in REQUIRED if key not in row]
        if missing:
            raise UserError(f"row {number} of {self.source} lacks {' and '.join(missing)}")
        row["question_id"] = row["task_id"] if isinstance(row.get("task_id"), int) else number
        try:
            row["fn_name"] = function_name(row)
        except ValueError as error:
            raise UserError(f"input_output of row {number} of {self.source} is not JSON ({error})") from None
        row["origin"] = {**self.origin, "row": number}
        return row

    def columns(self, number: int) -> dict[str, Any]:
        """A row as it is in the source, whatever its keys."""
        return dict(self._rows[number])

    @cached_property
    def row_of_question(self) -> dict[int, int]:
        """Row numbers by question id."""
        return {self.row(number)["question_id"]: number for number in range(len(self))}


class Problems(Sequence):
    """Problems of a set, in order, without their tests: what an answer's `metadata` holds.

    Each is read from disk when it is asked for, so memory holds two numbers a problem. A slice is Problems again.
    """

    def __init__(self, rows: ProblemSet, numbers: Sequence[int], question_ids: Sequence[int]):
        self.rows, self.numbers, self.question_ids = rows, numbers, question_ids

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Problems(self.rows, self.numbers[index], self.question_ids[index])
        return without_tests(self.rows.row(self.numbers[index]))


def without_tests(row: Problem) -> Problem:
    """A problem's row without its tests and solutions."""
    return {key: row[key] for key in row if key not in TESTS}


def select_problems(source: str, split: str = "", difficulty: str = "") -> Problems:
    """The problems of a source, in order, of one split and difficulty where these are given.

    Raises UserError when the source cannot be read, nothing is left, or two problems have one question id.
    """
    seen = {"split": set(), "difficulty": set()}
    rows = ProblemSet(source, split)
    numbers, ids, known = array("q"), [], set()
    for number in range(len(rows)):
        row = rows.row(number)
        wanted = {"split": split, "difficulty": difficulty}
        for key, value in list(wanted.items()):
            seen[key].add(row.get(key))
            wanted[key] = not value or (key == "split" and key not in row) or row.get(key) == value
        if not all(wanted.values()):
            continue
        if row["question_id"] in known:
            raise UserError(f"{source} has two problems with task_id {row['question_id']}")
        known.add(row["question_id"])
        numbers.append(number)
        ids.append(row["question_id"])
    if not ids:
        has = "; ".join(f"{key}: {', '.join(sorted(map(str, values)))}" for key, values in seen.items() if values)
        raise UserError(f"{source} has no problem of split {split!r} and difficulty {difficulty!r} (it has {has})")
    return Problems(rows, numbers, ids)


def load_problems(source: str, split: str = "", difficulty: str = "", with_tests: bool = True) -> list[Problem]:
    """The same problems in memory, by default with their tests (`input_output`, `solutions`). Raises UserError."""
    problems = select_problems(source, split, difficulty)
    return [problems.rows.row(number) for number in problems.numbers] if with_tests else list(problems)


def describe(problems: Problems) -> dict[str, Any]:
    """What `run.json` records of a problem set: where it came from and which problems."""
    return {**problems.rows.origin, "count": len(problems), "question_ids": list(problems.question_ids)}


class TestLookup:
    """Finds the tests of an answer: in its own `metadata`, or in the problem set that its `origin` names.

    `source`, when given, is where to look instead of what the answers say.
    """

    __test__ = False  # not a test class, whatever pytest may think

    def __init__(self, source: str = ""):
        self.source = source
        self._sets: dict[tuple[str, str, str], ProblemSet] = {}

    def problem(self, record: dict[str, Any]) -> Problem:
        """The problem of an answer with its `input_output`.

        Raises UserError when its set is not there, is another version, or does not hold it.
        """
        metadata = record["metadata"]
        if "input_output" in metadata and not self.source:
            return metadata
        origin = metadata.get("origin")
        question = f"question {record['question_id']}"
        if not self.source and not origin:
            raise UserError(f"{question} names no problem set and has no tests inside; give one by --problems")
        rows = self._set(self.source or origin["dataset"], (origin or {}).get("split", ""), origin or {})
        if self.source:
            number = rows.row_of_question.get(record["question_id"])
            if number is None:
                raise UserError(f"{self.source} has no {question}")
        else:
            number = origin["row"]
            if "digest" in origin and rows.origin.get("digest") != origin["digest"]:
                raise UserError(
                    f"{origin['dataset']} is not the file that {question} came from (its digest differs); "
                    "bring that one back, or name the file to use by --problems"
                )
        return rows.row(number)

    def _set(self, source: str, split: str, origin: dict[str, Any]) -> ProblemSet:
        key = (source, split, origin.get("revision", ""))
        if key not in self._sets:
            self._sets[key] = ProblemSet(*key)
        return self._sets[key]


def parse_tests(input_output: str | dict[str, Any]) -> dict[str, Any]:
    """TACO's tests as a dict. Raises ValueError when they are not JSON; integers may be of any length."""
    if isinstance(input_output, dict):
        return input_output
    sys.set_int_max_str_digits(0)
    tests = json.loads(input_output) if input_output else {}
    if not isinstance(tests, dict):
        raise ValueError("tests are not a JSON object")
    return tests


def function_name(problem: Problem) -> str | None:
    """The name of a call-based problem's function, None for standard input.

    Tests, often megabytes, are parsed only when they have a name. Raises ValueError when they are not JSON.
    """
    if "fn_name" in problem:
        return problem["fn_name"]
    tests = problem.get("input_output") or ""
    if isinstance(tests, str) and '"fn_name"' not in tests:
        return None
    return parse_tests(tests).get("fn_name")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as "sha256:..."."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


class _JsonLines:
    """Rows of a JSONL file by number, each read from its place when asked for."""

    def __init__(self, path: Path):
        self.path = path
        self._offsets = []
        with path.open("rb") as file:
            offset = 0
            for line in file:
                if line.strip():
                    self._offsets.append(offset)
                offset += len(line)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, number: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            file.seek(self._offsets[number])
            line = file.readline()
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{self.path} is not JSONL: row {number} is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{self.path}: row {number} is a {type(row).__name__}, expected an object with a question")
        return row


def _arrow_rows(path: Path) -> Any:
    """A memory-mapped `datasets.Dataset` of a Parquet or Arrow file."""
    import datasets

    kind = {".parquet": "parquet", ".arrow": "arrow"}.get(path.suffix)
    if kind is None:
        raise UserError(f"{path} is neither .jsonl, .parquet nor .arrow")
    try:
        return datasets.load_dataset(kind, data_files=str(path), split="train")
    except Exception as error:  # datasets wraps every fault of a data file in its own and pyarrow's classes
        raise UserError(f"{path} cannot be read as {kind}: {error.__cause__ or error}") from None


def _hub_rows(name: str, split: str, revision: str) -> tuple[Any, str]:
    """A memory-mapped data set of the Hub and the revision it is at.

    TACO still has a loading script, which `datasets` no longer runs, so its data files are read: the training split
    from Parquet, the test split from the Arrow file, which was corrected after the Parquet file was made.
    """
    import datasets
    from huggingface_hub import HfApi

    try:
        revision = HfApi().dataset_info(name, revision=revision or None, timeout=20).sha
        if name != TACO:
            return datasets.load_dataset(name, split=split or "train", revision=revision), revision
        kind, files = {"test": ("arrow", "test/*.arrow")}.get(split, ("parquet", "ALL/train-*.parquet"))
        files = f"hf://datasets/{name}@{revision}/{files}"
        return datasets.load_dataset(kind, data_files=files, split="train"), revision
    except Exception as error:  # the Hub's client lets the errors of several HTTP libraries through
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the Hub's data set {name} (split {split!r}) cannot be loaded: {reason}") from None


def problem_hash(metadata: dict[str, Any]) -> int:
    """A 64-bit hash of a problem's text and starter code, blank space apart: which problem an answer is to.

    Ids are unique in one problem set only, and sets hold some problems twice.
    """
    text = "\n".join(" ".join((metadata.get(key) or "").split()) for key in ("question", "starter_code"))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
