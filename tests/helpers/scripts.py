"""Running a script as a user would, and writing what the step before would have written."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hindsight.files import answer_files
from hindsight.text.uniform_format import render

ROOT = Path(__file__).resolve().parents[2]
TACO_REAL = ROOT.parent / "shared" / "taco_real"


def run_script(script, *flags, cwd=ROOT, **environment):
    """A script by subprocess, as a user runs it; its output is text."""
    return subprocess.run(
        [sys.executable, ROOT / script, *map(str, flags)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def write_converted(folder, question_id, sample_index, program, problem, **more):
    """A converted answer with a program, as step 2 leaves it; the problem's tests lie in its metadata."""
    text = render("hm", f"```python\n{program}\n```")
    record = {
        "prompt": "",
        "generated_text": text,
        "metadata": problem,
        "question_id": question_id,
        "sample_index": sample_index,
        "converted_text": text,
        "conversion": {"how": "rules"},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = answer_files.converted_path(folder, question_id, sample_index)
    path.write_text(json.dumps(record))
    return path


def converted(folder):
    """The converted answers of a run folder, in order."""
    return [json.loads(path.read_text()) for path in answer_files.list_files(folder, "converted").values()]


def texts(folder):
    """Their converted texts."""
    return [record["converted_text"] for record in converted(folder)]
