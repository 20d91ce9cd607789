"""The tree as a whole: formatted, without lint, and each of its parts with something in it."""

import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "codespell"])
def test_the_tree_is_formatted_and_without_lint(command):
    name, *arguments = command.split()
    if not (BIN / name).exists():
        pytest.skip(f"{name} is not installed (requirements-dev.txt)")
    result = subprocess.run([BIN / name, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_make_target_is_missing_its_recipe():
    targets = ["demo", "test", "test-fast", "test-train", "setup", "lint", "bench", "serve", "finetune", "loop"]
    result = subprocess.run(["make", "--dry-run", *targets, "reproduce"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
