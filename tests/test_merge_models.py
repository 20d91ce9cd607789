"""Step 0 as a user runs it: bad input in one sentence, kills, full disks, folders that cannot be written."""

import errno
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from pico import pair, save, state
from scripts import ROOT, run_script

from hindsight.merging.arithmetic import merge_tensors
from hindsight.merging.merge import merge_checkpoints


def merge(base, finetuned, folder, *flags):
    models = ["--base_model", base, "--finetuned_model", finetuned, "--output_dir", folder]
    return run_script("merge_models.py", *models, *flags)


def test_one_run_makes_every_alpha_and_a_second_makes_nothing(tmp_path):
    base, finetuned = pair(tmp_path)
    result = merge(base, finetuned, tmp_path / "out", "--alphas", 0.7, 0.9)
    assert result.returncode == 0, result.stderr
    for alpha in (0.7, 0.9):
        merged = state(tmp_path / "out" / f"alpha_{alpha}")
        for name, tensor in state(base).items():
            assert torch.equal(merged[name], merge_tensors(tensor, state(finetuned)[name], alpha))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("alpha*/*")}
    again = merge(base, finetuned, tmp_path / "out", "--alphas", 0.7, 0.9)
    assert (again.returncode, again.stdout.count("is there")) == (0, 2)
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--alphas"], "ALPHAS lie in [0, 1], not []"),
        (["--base_model", "no/such/folder"], "there is no checkpoint folder no/such/folder"),
        (["--output_dir", str(ROOT / "README.md")], "README.md"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, flags, sentence):
    result = merge(*pair(tmp_path), tmp_path / "out", *flags)
    said = result.stderr.strip().splitlines()
    assert (result.returncode, len(said), sentence in said[0]) == (2, 1, True), result.stderr


def large_pair(folder):
    """Two checkpoints of 48 MB in three shards, so that a merge takes a moment."""
    folders = []
    for seed, name in enumerate(("base", "finetuned")):
        generator = torch.Generator().manual_seed(seed)
        tensors = {f"layers.{layer}.w": torch.randn(8_000_000, generator=generator).bfloat16() for layer in range(3)}
        folders.append(save(folder / name, tensors))
    return folders


def test_killed_at_any_moment_and_started_again_it_makes_the_same_files(tmp_path):
    base, finetuned = large_pair(tmp_path)
    (whole,) = merge_checkpoints(base, finetuned, tmp_path / "whole", [0.7], "slerp", max_shard_gb=0.02)
    out = tmp_path / "out"
    models = ["--base_model", base, "--finetuned_model", finetuned, "--output_dir", out]
    flags = ["--alphas", "0.7", "--method", "slerp", "--max_shard_gb", "0.02", "--workers", "1"]
    command = [sys.executable, ROOT / "merge_models.py", *map(str, models), *flags]
    sizes = []
    for written in (1, 24_000_000):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and on_disk(out) < written:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sizes.append(on_disk(out))
        assert not list(out.glob("alpha*")) or sizes[-1] >= 48_000_000
    assert 0 < sizes[0] < 48_000_000
    assert merge(base, finetuned, out, *flags).returncode == 0
    assert {path.name: path.read_bytes() for path in (out / "alpha_0.7").iterdir() if path.name != "merge.json"} == {
        path.name: path.read_bytes() for path in whole.iterdir() if path.name != "merge.json"
    }
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def on_disk(folder):
    """Bytes of the shards in a folder, whole or not; blocks, as a file that is written in pieces has holes."""
    total = 0
    for path in folder.rglob("*.safetensors*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:  # renamed in this moment
            continue
    return total


def test_a_disk_that_fills_up_ends_with_a_sentence_and_no_checkpoint(tmp_path, monkeypatch):
    base, finetuned = large_pair(tmp_path)
    real, written = os.pwrite, []

    def full(file, content, offset):
        written.append(len(content))
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left on device: '.*model.safetensors.part'"):
        merge_checkpoints(base, finetuned, tmp_path / "out", [0.7])
    assert not list((tmp_path / "out").glob("alpha*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk, as root alone may")
def test_a_small_disk_is_named_with_what_is_wanted(tmp_path):
    base, finetuned = large_pair(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk]).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        result = merge(base, finetuned, disk / "out")
    finally:
        subprocess.run(["umount", disk], check=True)
    sentence = r"merge_models.py: .*/disk/out has \d+ MB free, the merge wants 48 MB"
    assert (result.returncode, bool(re.search(sentence, result.stderr))) == (2, True), result.stderr
