"""A benchmark that takes seconds runs, and prints its figures."""

import re
import subprocess
import sys

import pytest
from scripts import ROOT


def test_help_explains_a_benchmark_and_measures_nothing():
    command = [sys.executable, "-m", "benchmarks.client", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "python -m benchmarks.client" in result.stdout and "options:" in result.stdout


@pytest.mark.slow
def test_a_benchmark_prints_its_figures():
    """The others take minutes and are left to `make bench`; pyright reads them all."""
    command = [sys.executable, "-m", "benchmarks.client", "20"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    for figure in (r"200 samples written, 0 missing", r"CPU time per sample +\d+\.\d\d ms"):
        assert re.search(figure, result.stdout), result.stdout
