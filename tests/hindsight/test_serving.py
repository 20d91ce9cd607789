"""The start of scripts that need slow libraries only later, or not at all."""

import subprocess
import sys

from scripts import ROOT

SCRIPTS = ("hindsight.serving", "analysis.sweep_alphas", "analysis.choose_alpha", "convert_to_data")
SLOW = ("torch", "transformers", "vllm", "scipy.stats", "matplotlib", "datasketch")


def test_scripts_start_without_slow_libraries():
    """Bad input is then reported at once; a merge needs torch, a figure matplotlib, and near duplicates datasketch."""
    program = f"import sys, {', '.join(SCRIPTS)}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(SLOW) & set(result.stdout.split()) == set()
