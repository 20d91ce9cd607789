"""How the lab's models are trained: its optimizer, and that training is the same again."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hindsight.settings import read_settings
from lab.training import train_models
from lab.training.muon import Muon, orthogonal

ROOT = Path(__file__).parents[3]
SMALL = [
    *("--base_steps", "3", "--instruct_steps", "2", "--batch_tokens", "1024", "--tokenizer_documents", "200"),
    *("--vocabulary", "512", "--hidden_size", "64", "--layers", "2"),
]


def test_muon_makes_a_matrix_orthogonal():
    for shape in ((8, 8), (5, 12), (12, 5)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        values = torch.linalg.svdvals(orthogonal(matrix))
        assert values.min() > 0.5 and values.max() < 1.3


def test_a_step_of_muon_goes_against_the_gradient_as_far_as_adamws_would():
    """Of an orthogonal n x n matrix the entries' root mean square is 1 / sqrt(n); Muon makes it 0.2, times the rate."""
    matrix = torch.nn.Parameter(torch.zeros(16, 16))
    gradient = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1))).Q
    matrix.grad = gradient.clone()
    Muon([matrix], lr=0.1).step()
    assert (matrix.detach() * gradient).sum() < 0
    assert matrix.detach().pow(2).mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.3)


@pytest.fixture
def same_threads():
    """Training sets how many threads torch has in its process; afterwards there are as many as before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def digest(checkpoint):
    return hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()


def test_a_small_training_run_is_the_same_again_and_goes_on_where_it_was_stopped(tmp_path, capsys, same_threads):
    """Again in this process, which has loaded what training takes and hashes strings by another seed."""
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run(
        [sys.executable, "-m", "lab.training.train_models", "--output_dir", one, *SMALL], cwd=ROOT, check=True
    )
    settings = read_settings(vars(train_models), ["--output_dir", str(two), *SMALL])
    train_models.main(settings)
    other = read_settings(vars(train_models), ["--output_dir", str(two), "--seed", "1", *SMALL])
    train_models.main(other)
    digests = [digest(one / name) for name in ("base", "instruct")]
    assert digests == [digest(two / name) for name in ("base", "instruct")]
    assert digests[0] != digests[1]
    assert digest(two / "seed_1" / "base") not in digests
    (two / "instruct" / "config.json").unlink()
    capsys.readouterr()
    train_models.main(settings)
    assert "base exists and is kept" in capsys.readouterr().out
    assert digest(two / "instruct") == digests[1]
