"""The notebooks as they are committed, and run top to bottom on the lab's runs."""

import itertools
import os
import re
from unittest import mock

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from scripts import ROOT

from analysis import embed
from analysis.reading.answers import RUNS
from hindsight.settings import read_settings

FIGURES = {"correctness": 6, "explore_embeddings": 3, "finetuning_analysis": 6, "model_exploration": 2}
# The loop's runs, and those of the demo that stand for them where there is no LLaMA-Factory to make them
LOOP = {"start": "base", "finetuned": "instruct", "data": "data"}
LOOP |= dict.fromkeys(("alpha_0.4", "alpha_0.7", "alpha_0.9"), "alpha_0.7")
MACHINE_PATH = re.compile(r"(?<![\w/.])/(?:home|root|tmp|work|mnt|usr|var|opt|Users)/\w")


def read(name):
    return nbformat.read(ROOT / "analysis" / f"{name}.ipynb", as_version=4)


def execute(notebook):
    resources = {"metadata": {"path": str(ROOT / "analysis")}}
    return NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def count_figures(notebook):
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


@pytest.fixture(scope="module")
def embedded_runs(lab_runs):
    with mock.patch.dict(os.environ, OPENAI_API_KEY="", OPENAI_BASE_URL=""):
        for run in RUNS:
            assert not embed.main(read_settings(vars(embed), ["--input_dir", str(lab_runs / run)]))
    return lab_runs


@pytest.fixture(scope="module")
def loop_runs(lab_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    for name, run in LOOP.items():
        (folder / name).symlink_to(lab_runs / run)
    return folder


@pytest.mark.parametrize("name", FIGURES)
def test_a_notebook_runs_top_to_bottom_and_has_its_figures(name, embedded_runs, loop_runs, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(embedded_runs))
    monkeypatch.setenv("HINDSIGHT_LOOP", str(loop_runs))
    notebook = execute(read(name))
    assert count_figures(notebook) == FIGURES[name]
    assert [output for output in outputs(notebook) if output.output_type == "stream"] == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_committed_notebook_shows_its_figures_and_nothing_of_a_machine(name):
    notebook = read(name)
    assert count_figures(notebook) == FIGURES[name]
    texts = [str(output.get("data", output)) for output in outputs(notebook)]
    assert [output for output in outputs(notebook) if output.output_type in ("error", "stream")] == []
    assert not [text for text in texts if MACHINE_PATH.search(re.sub(r"'image/png': '[^']*'", "", text))]
    assert (ROOT / "analysis" / f"{name}.ipynb").stat().st_size < 1_000_000


@pytest.mark.parametrize("name", FIGURES)
def test_a_question_stands_before_every_result_and_cells_are_short(name):
    cells = read(name).cells
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and any(output.output_type == "execute_result" for output in cell.outputs):
            assert before.cell_type == "markdown"
            assert "?" in before.source
    for cell in (cell for cell in cells if cell.cell_type == "code"):
        assert not re.search(r"^\s*(def|class|for|while|if) ", cell.source, re.MULTILINE)
        assert "import" in cell.source or len(cell.source.splitlines()) <= 6


def test_a_notebook_without_its_runs_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUNS", str(tmp_path))
    with pytest.raises(CellExecutionError) as caught:
        execute(read("correctness"))
    assert caught.value.ename == "UserError"
    assert "there is no run 'base'" in caught.value.evalue
    assert "make demo" in caught.value.evalue
