"""Step 0 as a user runs it: bad input, kills, full disks."""

import errno
import multiprocessing
import os
import re
import signal
import subprocess

import pytest
import torch
from pico import merge_into, pair, save, state
from scripts import ROOT, run_in_process

import merge_models
from hindsight.merging.arithmetic import merge_tensors

pytestmark = pytest.mark.slow  # together they take seconds


def merge(base, finetuned, folder, *flags):
    models = ["--base_model", base, "--finetuned_model", finetuned, "--output_dir", folder]
    return run_in_process(merge_models, *models, *flags)


def test_one_run_makes_every_alpha_and_a_second_run_keeps_them(tmp_path):
    base, finetuned = pair(tmp_path)
    result = merge(base, finetuned, tmp_path / "out", "--alphas", 0.7, 0.9)
    assert result.returncode == 0, result.stderr
    for alpha in (0.7, 0.9):
        merged = state(tmp_path / "out" / f"alpha_{alpha}")
        for name, tensor in state(base).items():
            assert torch.equal(merged[name], merge_tensors(tensor, state(finetuned)[name], alpha))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("alpha*/*")}
    again = merge(base, finetuned, tmp_path / "out", "--alphas", 0.7, 0.9)
    assert (again.returncode, again.stdout.count("already exists")) == (0, 2)
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--alphas"], "give at least one alpha by --alphas"),
        (["--output_dir", ""], "OUTPUT_DIR is empty"),
        (["--base_model", "no/such/folder"], "there is no checkpoint folder no/such/folder"),
        (["--output_dir", str(ROOT / "README.md")], "README.md"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, flags, sentence):
    base, finetuned = pair(tmp_path)
    models = ["--base_model", base, "--finetuned_model", finetuned, "--output_dir", tmp_path / "out"]
    result = run_in_process(merge_models, *models, *flags)
    lines = result.stderr.strip().splitlines()
    assert (result.returncode, len(lines), sentence in lines[0]) == (2, 1, True), result.stderr


def pair_of_three_shards(folder):
    """Two checkpoints of 15 MB; a merge in three shards writes six times per shard: a header, and five pieces."""
    folders = []
    for seed, name in enumerate(("base", "finetuned")):
        generator = torch.Generator().manual_seed(seed)
        tensors = {f"layers.{layer}.w": torch.randn(2_500_000, generator=generator).bfloat16() for layer in range(3)}
        folders.append(save(folder / name, tensors))
    return folders


def merge_until_killed(write, *arguments):
    """Merges in a fork of this process, which is killed at this write; returns its exit status."""

    def killed():
        real, left = os.pwrite, iter(range(write))
        os.pwrite = lambda *given: (
            real(*given) if next(left, None) is not None else os.kill(os.getpid(), signal.SIGKILL)
        )
        merge(*arguments)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join()
    return process.exitcode


def test_a_run_that_is_killed_and_started_again_makes_the_same_files(tmp_path):
    base, finetuned = pair_of_three_shards(tmp_path)
    (whole,) = merge_into(base, finetuned, tmp_path / "whole", [0.7], "slerp", max_shard_gb=0.006)
    out = tmp_path / "out"
    flags = ["--alphas", "0.7", "--method", "slerp", "--max_shard_gb", "0.006", "--workers", "1"]
    for writes, complete in ((3, 0), (8, 1)):
        assert merge_until_killed(writes, base, finetuned, out, *flags) == -signal.SIGKILL
        assert not list(out.glob("alpha*"))
        assert len(list(out.glob(".alpha_0.7.partial/*.safetensors"))) == complete
    assert merge(base, finetuned, out, *flags).returncode == 0
    assert {path.name: path.read_bytes() for path in (out / "alpha_0.7").iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_a_disk_that_fills_up_ends_with_a_sentence_and_no_checkpoint(tmp_path, monkeypatch):
    base, finetuned = pair_of_three_shards(tmp_path)
    real, written = os.pwrite, []

    def full(file, content, offset):
        written.append(len(content))
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left on device: '.*model.safetensors.part'"):
        merge_into(base, finetuned, tmp_path / "out", [0.7])
    assert not list((tmp_path / "out").glob("alpha*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_too_small_is_named_with_the_space_needed(tmp_path):
    base, finetuned = pair_of_three_shards(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        result = merge(base, finetuned, disk / "out")
    finally:
        subprocess.run(["umount", disk], check=True)
    sentence = r"merge_models.py: .*/disk/out has \d+ MB free, the merge needs 15 MB"
    assert (result.returncode, bool(re.search(sentence, result.stderr))) == (2, True), result.stderr
