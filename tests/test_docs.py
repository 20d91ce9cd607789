"""The commands of README and docs: each is run as a reader would, or says above it why not; every flag is real.

A block of commands is run in a folder that looks like the repository after `make demo`; of the slower scripts, the
first call is a real start (see `quick_python`). A comment above a block says what else holds for it: `not run by the
tests: REASON`; `server`, for the lab's servers on the tests' own ports; or `own model`, which `test_own_model.py` runs.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from doc_blocks import BLOCKS, PAGES
from quick_python import quick_python
from scripts import ROOT

from hindsight.settings import constant_comments

CONSTANT = re.compile(r"^(?:export )?([A-Z_]+)=", re.MULTILINE)  # of a shell script
OTHER_PAGES = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")]
OTHER_PAGES += [ROOT / room / "README.md" for room in ("SkyThought", "lab", "studies/smollm2")]


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
                    flags = {w for w in words[number:] if w.startswith("--")}  # those before it are a container's
                    yield pytest.param(script, flags, id=f"{block.page}-{script.stem}")


@pytest.mark.parametrize(("script", "flags"), list(calls()))
def test_every_flag_in_the_docs_is_one(script, flags):
    assert flags <= {f"--{name.lower()}" for name in constant_comments(script.read_text("utf-8"))}


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
            assert not anchor or anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_every_file_that_a_page_names_exists():
    made = ("question_", "converted_question_", "my_", "run", "hindsight.json", "merge_report", "verdicts", "choice")
    folders = [
        path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name != "runs"
    ]
    files = [f"/{path.relative_to(ROOT)}" for folder in folders for path in folder.rglob("*.*")]
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|sh|yaml|ipynb|md))`", page.read_text("utf-8")):
            if not name.startswith(made):
                assert (ROOT / name).exists() or any(path.endswith(f"/{name}") for path in files), (
                    f"{page.name}: {name}"
                )


def test_every_setting_that_a_page_names_is_a_constant_of_its_scripts():
    scripts = [*ROOT.glob("*.py"), *ROOT.glob("analysis/*.py"), ROOT / "SkyThought" / "audit_problems.py"]
    known = {name for script in scripts for name in constant_comments(script.read_text("utf-8"))}
    known |= {name for script in ROOT.glob("jobs/**/*.sh") for name in CONSTANT.findall(script.read_text("utf-8"))}
    known |= {
        "OMP_NUM_THREADS",
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "VLLM_BATCH_INVARIANT",
        "VLLM_MAX_STOP_STRINGS",
        "HINDSIGHT_RUNS",
        "HINDSIGHT_LOOP",
        "HINDSIGHT_MODELS",
        "MBPP_OVERRIDE_PATH",
        "HUMANEVAL_OVERRIDE_PATH",
        "XDG_CACHE_HOME",
        "TRACKIO_DIR",
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
    run_commands(block.with_python_of(quick_python().parent), workspace)


@pytest.mark.server
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.note == "server"], ids=str)
def test_the_commands_of_the_docs_that_ask_a_server_work(block, workspace, lab_servers):
    base, instruct = lab_servers["base"], lab_servers["instruct"]
    flags = f" --base_urls {instruct}"
    if "switching_inference.py" in block.commands:
        flags = f" --base_model_urls {base} --instruct_model_urls {instruct}"
    run_commands(block.with_python_of(quick_python().parent).rstrip() + flags, workspace)


@pytest.mark.server
@pytest.mark.parametrize("command", ["merge_models.py --alphas 2", "analysis/entropy.py --max_answers -1", "-c 1/0"])
def test_a_command_that_fails_fails_the_test(command, workspace):
    """As a real start, or as a fork, which the second call is."""
    for _ in range(2):
        with pytest.raises(AssertionError, match=r"alpha lies in|MAX_ANSWERS is|Traceback"):
            run_commands(f"{quick_python()} {command}", workspace)


def test_what_the_tests_do_not_run_says_why():
    for block in BLOCKS:
        assert block.note in ("", "server", "own model") or re.match(r"not run by the tests\b.*: .+", block.note)
