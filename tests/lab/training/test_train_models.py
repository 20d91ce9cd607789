"""The training of the lab's models: its optimizer, and that it repeats to the bit."""

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
    *("--base_steps", "2", "--instruct_steps", "1", "--batch_tokens", "1024", "--tokenizer_documents", "200"),
    *("--vocabulary", "512", "--hidden_size", "64", "--layers", "2"),
]


def test_muon_makes_a_matrix_orthogonal():
    for shape in ((8, 8), (5, 12), (12, 5)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        values = torch.linalg.svdvals(orthogonal(matrix))
        assert values.min() > 0.5 and values.max() < 1.3


def test_a_step_of_muon_goes_against_the_gradient_as_far_as_one_of_adamw():
    """The entries of an orthogonal n x n matrix have root mean square 1 / sqrt(n); Muon makes it 0.2 * rate."""
    matrix = torch.nn.Parameter(torch.zeros(16, 16))
    gradient = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1))).Q
    matrix.grad = gradient.clone()
    Muon([matrix], lr=0.1).step()
    assert (matrix.detach() * gradient).sum() < 0
    assert matrix.detach().pow(2).mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.3)


@pytest.fixture
def same_threads():
    """Restores the number of torch's threads, which training sets for its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def digest(checkpoint):
    return hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_small_training_repeats_to_the_bit_and_resumes_with_the_missing_checkpoint(tmp_path, capsys, same_threads):
    """The repetition runs in this process, which hashes strings with another seed."""
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run(
        [sys.executable, "-m", "lab.training.train_models", "--output_dir", one, *SMALL], cwd=ROOT, check=True
    )
    settings = read_settings(vars(train_models), ["--output_dir", str(two), *SMALL])
    train_models.main(settings)
    other = read_settings(vars(train_models), ["--output_dir", str(two), "--seed", "1", *SMALL])
    (two / "seed_1" / "instruct").mkdir(parents=True)
    (two / "seed_1" / "instruct" / "config.json").touch()  # so only the base model is trained
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
