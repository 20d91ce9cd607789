"""What a task's own solution returns: run once in the sandbox, and kept in the user's cache by digest."""

import hashlib
import json
import marshal
import os
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from hindsight.files.records import write_json
from SkyThought.evalplus_tasks import EvalplusTask
from SkyThought.execution.program import Program
from SkyThought.execution.warm_process_handle import WarmProcess
from SkyThought.sandbox.exact_values import untag_exactly

FORMAT = 3  # of the cache: a new number when the same digest could mean other values
SECONDS = 60.0  # of CPU time that the solution may take for an input
UNLIKE_ITSELF = ("NaN", '["object"', '["array"')  # values with these in their report may not equal each other


class ReferenceFailure(Exception):
    """The problem's own solution fails: its programs cannot be judged."""


@dataclass(frozen=True)
class ReferenceValues:
    """Of a group of inputs: the reports of the values (see `exact_values`), as JSON, and CPU seconds.

    A report is None where the solution itself fails: at a limit, say. No program can pass such an input.
    """

    reports: list[str | None]
    seconds: list[float]
    floats: list[bool]  # whether a value is a float, or all floats, which makes values compare within a tolerance

    def value(self, index: int) -> Any:
        """The value for an input. It is parsed on each call, because all of them together may not fit in memory."""
        report = self.reports[index]
        return None if report is None else untag_exactly(json.loads(report))

    @cached_property
    def known(self) -> list[bytes]:
        """The beginnings of right lines of the report pipe; empty if the same report may mean another value."""
        unlike = [report is None or any(word in report for word in UNLIKE_ITSELF) for report in self.reports]
        lines = (b'{"value": ' + str(report).encode() for report in self.reports)
        return [b"" if odd else line for odd, line in zip(unlike, lines, strict=True)]


@lru_cache(maxsize=4)
def reference_values(warm: WarmProcess, task: EvalplusTask, group: str, reading: bytes) -> ReferenceValues:
    """The values for a group of inputs. Raises ReferenceFailure when the solution fails on one, or MachineError."""
    version = f"{FORMAT} {sys.version_info[:2]} {task.function} {reading!r}".encode()
    digest = hashlib.sha256()
    for part in (version, task.solution.encode("utf-8", "surrogatepass"), task.packed_inputs[group]):
        digest.update(len(part).to_bytes(8) + part)
    path = cache_folder() / f"{digest.hexdigest()}.json"
    with suppress(OSError, ValueError, KeyError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        return ReferenceValues(kept["reports"], kept["seconds"], kept["floats"])
    values = _run(warm, task, group, reading)
    with suppress(OSError):  # a home that cannot be written to: the solution is run again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"reports": values.reports, "seconds": values.seconds, "floats": values.floats})
    return values


def cache_folder() -> Path:
    """Where the values are kept, by digest."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hindsight" / "reference_values"


def _run(warm: WarmProcess, task: EvalplusTask, group: str, reading: bytes) -> ReferenceValues:
    """Runs the solution on every input; after an input on which it fails, a new child runs it on the following ones."""
    inputs, reports, seconds, reason = task.inputs[group], [], [], ""
    with Program(warm, task.solution) as program:
        while len(reports) < len(inputs):
            left = inputs[len(reports) :]
            with closing(program.calls(task.function, marshal.dumps(left), [SECONDS] * len(left), reading)) as calls:
                for call in calls:
                    reason = call.reason or reason
                    reports.append(None if call.reason else json.dumps(call.value))
                    seconds.append(call.seconds)
            if reports == [None]:  # for example, it does not compile, or has no function of that name
                raise ReferenceFailure(f"its own solution fails on its first {group} input ({reason})")
    floats = [report is not None and is_floats(untag_exactly(json.loads(report))) for report in reports]
    return ReferenceValues(reports, seconds, floats)


def is_floats(value: Any) -> bool:
    """Whether a value is a float, or a list, tuple or array of floats."""
    numpy = sys.modules.get("numpy")  # an array's module is there
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value.dtype in (numpy.float64, numpy.float32)
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)
