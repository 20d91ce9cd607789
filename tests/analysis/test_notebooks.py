"""The notebooks as committed, and each executed once on small runs that steps 2, 3 and 4 made of generated answers."""

import itertools
import json
import re
import sys
import warnings
from contextlib import ExitStack, closing, nullcontext
from functools import cache

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from nbclient import NotebookClient
from scripts import ROOT

import check_converted_samples
import convert_to_data
import format_converter
from analysis.reading.run_folders import RUNS
from hindsight.errors import UserError
from hindsight.files.answer_files import embedded_path, list_files, sample_path
from hindsight.files.records import write_json
from hindsight.problem_sets.problems import without_tests
from hindsight.problem_sets.selection import load_problems
from hindsight.settings import read_settings
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import render
from SkyThought.local_judges import open_judges

FIGURES = {"correctness": 6, "explore_embeddings": 3, "finetuning_analysis": 6, "model_exploration": 2}
PROBLEMS, SAMPLES = 3, 3
CORRECT = {"base": (1, 0, 2), "switching": (2, 1, 0), "alpha_0.7": (3, 2, 1), "instruct": (2, 3, 1)}
# Each of the loop's runs, and the run used in its place
LOOP = {"start": "base", "finetuned": "instruct", "data": "data"}
LOOP |= dict.fromkeys(("alpha_0.4", "alpha_0.7", "alpha_0.9"), "alpha_0.7")
MACHINE_PATH = re.compile(r"(?<![\w/.])/(?:home|root|tmp|work|mnt|usr|var|opt|Users)/\w")


def read(name):
    return nbformat.read(ROOT / "analysis" / f"{name}.ipynb", as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def count_figures(notebook):
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def step(script, *flags):
    assert script.main(read_settings(vars(script), [str(flag) for flag in flags])) in (0, 1)


def program_of(problem, sample, is_correct):
    """One of the problem's solutions, a wrong program, or one that does not compile (the paper's rules accept it)."""
    solutions = json.loads(problem["solutions"])
    return solutions[sample % len(solutions)] if is_correct else ("print(0)", "print(0", "print(1)")[sample]


def write_raw_answers(folder, run, problems):
    """Raw answers as steps 1a and 1b leave them; the last one to the last problem has no program."""
    folder.mkdir()
    for problem, correct in zip(problems, CORRECT[run], strict=True):
        chat, transcript = Prompts().chat(problem), Prompts().transcript(problem)
        prompts = {"base": transcript, "switching": {"instruct": chat, "base": transcript}}
        for sample in range(SAMPLES):
            program = program_of(problem, sample, sample < correct)
            text = render(f"Thought {sample} of {run}.", f"The program.\n\n```python\n{program}\n```")
            if (problem["question_id"], sample) == (problems[-1]["question_id"], SAMPLES - 1):
                text = "Nothing comes to my mind."
            half = len(text) // 2
            turns = [{"model": "instruct", "start": 9, "end": half}, {"model": "base", "start": half, "end": len(text)}]
            record = {
                "prompt": prompts.get(run, chat),
                "generated_text": text,
                **({"segments": turns} if run == "switching" else {}),
                "generation_config": {"model": run, "seed": sample},
                "finish_reason": "stop",
                "usage": {"prompt_tokens": 100, "completion_tokens": len(text.split())},
                "metadata": without_tests(problem),
                "question_id": problem["question_id"],
                "sample_index": sample,
            }
            write_json(sample_path(folder, problem["question_id"], sample), record)


def write_embeddings(folder):
    """Random embeddings beside the converted answers."""
    chance = np.random.default_rng(0)
    for key, path in list_files(folder, "converted").items():
        vector = chance.normal(size=8).tolist()
        write_json(embedded_path(folder, *key), {**json.loads(path.read_text()), "converted_embedding": vector})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Small runs like those of `make demo`, converted, checked and curated by the steps."""
    folder = tmp_path_factory.mktemp("runs")
    problems = load_problems("lab", "test")[:PROBLEMS]
    with ExitStack() as judges, pytest.MonkeyPatch.context() as patch:
        opened = cache(lambda *options: judges.enter_context(closing(open_judges(*options))))
        patch.setattr(check_converted_samples, "open_judges", lambda *options: opened(*options))
        patch.setattr(check_converted_samples, "closing", nullcontext)  # the runs have the same judges
        for run in RUNS:
            write_raw_answers(folder / run, run, problems)
            step(format_converter, "--input_dir", folder / run, "--workers", 1)
            step(check_converted_samples, "--input_dir", folder / run, "--workers", 1)
            write_embeddings(folder / run)
    flags = ("--cutoff_len", 0, "--contamination", 0)  # rows of any length, also of test problems
    step(convert_to_data, "--input_dirs", folder / "instruct", "--output_dir", folder / "data", *flags)
    return folder


@pytest.fixture(scope="module")
def loop_runs(runs, tmp_path_factory):
    """A folder like that of `make loop`."""
    folder = tmp_path_factory.mktemp("loop")
    for name, run in LOOP.items():
        (folder / name).symlink_to(runs / run)
    return folder


@pytest.fixture
def folders(runs, loop_runs, monkeypatch):
    """The runs, as the notebooks find them."""
    monkeypatch.setenv("HINDSIGHT_RUNS", str(runs))
    monkeypatch.setenv("HINDSIGHT_LOOP", str(loop_runs))


@pytest.mark.slow
def test_a_kernel_executes_a_notebook_with_its_figures(folders):
    notebook = read("correctness")
    resources = {"metadata": {"path": str(ROOT / "analysis")}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    assert count_figures(notebook) == FIGURES["correctness"]
    assert [output for output in outputs(notebook) if output.output_type == "stream"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name != "correctness"])
def test_a_notebook_runs_top_to_bottom_and_has_its_figures(name, folders, monkeypatch):
    """In this process, whose imports the notebooks share, by the shell that kernels have."""
    monkeypatch.chdir(ROOT / "analysis")
    monkeypatch.setattr(sys, "path", list(sys.path))
    shell, shown = InteractiveShell(), []
    with warnings.catch_warnings(), capture_output() as said:
        for cell in read(name).cells:
            if cell.cell_type == "code":
                ran = shell.run_cell(cell.source.removeprefix("%matplotlib inline\n"))
                ran.raise_error()
                shown.append(ran.result)
    assert sum(isinstance(result, Figure) for result in shown) == FIGURES[name]
    assert (re.sub(r"Out\[\d+\]: .*\n", "", said.stdout), said.stderr) == ("", "")


@pytest.mark.parametrize("name", FIGURES)
def test_a_committed_notebook_has_its_figures_and_no_machine_path(name):
    notebook = read(name)
    assert count_figures(notebook) == FIGURES[name]
    texts = [str(output.get("data", output)) for output in outputs(notebook)]
    assert [output for output in outputs(notebook) if output.output_type in ("error", "stream")] == []
    assert not [text for text in texts if MACHINE_PATH.search(re.sub(r"'image/png': '[^']*'", "", text))]
    assert (ROOT / "analysis" / f"{name}.ipynb").stat().st_size < 1_000_000


@pytest.mark.parametrize("name", FIGURES)
def test_a_question_precedes_every_result_and_cells_are_short_and_without_logic(name):
    cells = read(name).cells
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and any(output.output_type == "execute_result" for output in cell.outputs):
            assert before.cell_type == "markdown"
            assert "?" in before.source
    for cell in (cell for cell in cells if cell.cell_type == "code"):
        assert not re.search(r"^\s*(def|class|for|while|if) ", cell.source, re.MULTILINE)
        assert "import" in cell.source or len(cell.source.splitlines()) <= 6


@pytest.mark.parametrize(
    ("name", "missing"),
    [("correctness", "has no run 'base'"), ("finetuning_analysis", "data/hindsight.report.json does not exist")],
)
def test_a_notebook_without_its_runs_reports_what_is_missing(name, missing, tmp_path, monkeypatch):
    """In this process: the cell with the imports, then the cell that reads the runs."""
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    monkeypatch.setenv("HINDSIGHT_LOOP", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    imports, reading = [cell.source for cell in read(name).cells if cell.cell_type == "code"][:2]
    names = {}
    exec(imports.removeprefix("%matplotlib inline\n"), names)
    with pytest.raises(UserError, match=f"{missing}; make it with `make (demo|loop)`"):
        exec(reading, names)
