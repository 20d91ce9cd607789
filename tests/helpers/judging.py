"""Judges one program, for the tests that do so hundreds of times."""

import json
from pathlib import Path

from hindsight.files.verdicts import REASONS
from hindsight.text.uniform_format import render


def answer(program: str) -> str:
    return render("Let me think.", f"```python\n{program}\n```")


def judged(judge, program, inputs="", outputs="", function=None) -> dict:
    """The verdict on a program, for the input and output of one test or lists of them."""
    tests = {"inputs": inputs if isinstance(inputs, list) else [inputs]}
    tests["outputs"] = outputs if isinstance(outputs, list) else [outputs]
    if function:
        tests["fn_name"] = function
    result = judge.update_results({"input_output": json.dumps(tests)}, answer(program))
    assert result["reason"] == "" or result["reason"].split(":")[0] in REASONS
    assert result["correctness"] is {"": True, "not judged": None}.get(result["reason"].split(":")[0], False)
    json.dumps(result)
    return result


def reason(judge, program, inputs="", outputs="", function=None) -> str:
    return judged(judge, program, inputs, outputs, function)["reason"]


def running(what: str) -> list[int]:
    """The processes whose command line contains these words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += [int(entry.name)] if what in command else []
    return found
