"""The benchmarks that take seconds run, and print their figures."""

import re
import subprocess
import sys

import pytest
from scripts import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "figures"),
    [
        (("judging", "--quick"), [r"ratio +\d+\.\d"]),
        (("converting", "60"), [r"60 converted, 0 missing", r"\d+ files per second", r"ratio +0\.0\d"]),
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
