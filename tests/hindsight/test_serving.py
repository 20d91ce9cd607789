"""The start of the scripts that serve models."""

import subprocess
import sys

from scripts import ROOT

SLOW = ("torch", "transformers", "vllm", "scipy.stats", "matplotlib")


def test_scripts_that_serve_or_choose_an_alpha_start_without_slow_libraries():
    """Bad input is then reported at once; only a merge needs torch, and only a figure matplotlib."""
    program = "import sys, hindsight.serving, analysis.sweep_alphas, analysis.choose_alpha; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(SLOW) & set(result.stdout.split()) == set()
