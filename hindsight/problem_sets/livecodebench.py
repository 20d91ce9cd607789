"""LiveCodeBench's code generation (Jain et al. 2024, "LiveCodeBench: Holistic and Contamination Free Evaluation").

    {"question_title": "Short Sort", "question_content": "There are three cards ...", "platform": "codeforces",
     "question_id": "1873_A", "contest_id": "1873", "contest_date": "2023-08-21T00:00:00", "starter_code": "",
     "difficulty": "easy", "metadata": "{}",
     "public_test_cases": "[{\\"input\\": \\"1\\\\nabc\\", \\"output\\": \\"YES\\", \\"testtype\\": \\"stdin\\"}]",
     "private_test_cases": "eJxrYJmqzgABtTIZ..."}

Private tests are JSON, or JSON text that was pickled, compressed by zlib and written in base64: a pickle reader that
refuses every name unpacks them, so nothing in them runs. A functional test's input has a line of JSON per argument, its
output is JSON; `metadata` names the function. Problems with starter code expect a class `Solution`.

A release is the files up to its own; `v5` alone is what release 5 added. A problem's number is its row in the release,
and later releases keep the rows of earlier ones.
"""

import base64
import binascii
import io
import json
import pickle
import zlib
from typing import Any, NoReturn

from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.rows import Row, Source, columns

_FILES = ("test.jsonl", *(f"test{number}.jsonl" for number in range(2, 7)))  # what each release added
_SPANS = {
    f"v{first + 1}" if first == last else f"v{first + 1}_v{last + 1}": _FILES[first : last + 1]
    for first in range(len(_FILES))
    for last in range(first, len(_FILES))
}
RELEASES = {f"release_v{number}": _FILES[:number] for number in range(len(_FILES), 0, -1)}  # the newest first
NAMES = {"livecodebench": Source("livecodebench/code_generation_lite", {**RELEASES, **_SPANS}, releases=True)}
COLUMNS = columns("question_content public_test_cases private_test_cases")
MOST_BYTES = 1 << 30  # of the tests of a problem, unpacked


def problem(row: Row, name: str) -> Problem:
    """The problem; `date` is the day of its contest."""
    return {
        "task_id": row["question_id"],
        "question": row["question_content"],
        "starter_code": row.get("starter_code") or "",
        "fn_name": _object(row.get("metadata")).get("func_name") or None,
        "difficulty": row.get("difficulty"),
        "date": str(row.get("contest_date") or "")[:10],
        "title": row.get("question_title"),
        "source": row.get("platform"),
    }


def tests(row: Row, name: str) -> dict[str, Any]:
    """Its public and private tests; the set has no solutions."""
    cases = _list(row["public_test_cases"]) + private_tests(row["private_test_cases"])
    function = _object(row.get("metadata")).get("func_name") or None
    inputs, outputs = [case["input"] for case in cases], [case["output"] for case in cases]
    if not function and any(case.get("testtype") == "functional" for case in cases):
        raise ValueError("they call a function, and metadata has no func_name")
    if function:
        inputs = [[json.loads(line) for line in text.split("\n") if line.strip()] for text in inputs]
        outputs = [json.loads(text) for text in outputs]
    named = {"fn_name": function} if function else {}
    return {"input_output": {**named, "inputs": inputs, "outputs": outputs}, "solutions": "[]"}


def has_tests(row: Row) -> bool:
    """Whether there is a test, without unpacking the private ones."""
    return any(row.get(key) not in (None, "", "[]", []) for key in ("public_test_cases", "private_test_cases"))


def text(row: Row) -> str | None:
    """The statement."""
    return row.get("question_content")


def private_tests(packed: Any) -> list[dict[str, Any]]:
    """The private tests. Raises ValueError when they are too large or are not tests."""
    if not isinstance(packed, str) or packed[:1] in ("", "["):
        return _list(packed or [])
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(packed, validate=True), MOST_BYTES)
        if unpacker.unconsumed_tail:
            raise ValueError(f"private tests of more than {MOST_BYTES >> 20} MiB")
        if not unpacker.eof:
            raise ValueError("private tests are cut short")
        return _list(_TextAlone(io.BytesIO(content)).load())
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"private tests cannot be unpacked: {error}") from None
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, AttributeError, MemoryError) as error:
        raise ValueError(f"private tests are not pickled text: {error or type(error).__name__}") from None


class _TextAlone(pickle.Unpickler):
    """A pickle reader that refuses every name, so that nothing can be called."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"they name {module_name}.{global_name}")


def _list(value: Any) -> list[dict[str, Any]]:
    """A list of tests, or the JSON of one."""
    found = json.loads(value) if isinstance(value, str | bytes) else value
    if not isinstance(found, list) or not all(
        isinstance(case, dict) and {"input", "output"} <= case.keys() for case in found
    ):
        raise ValueError("tests are not a list of inputs and outputs")
    return found


def _object(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) and value.strip() else value
    return found if isinstance(found, dict) else {}
