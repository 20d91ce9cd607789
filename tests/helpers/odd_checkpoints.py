"""Changes checkpoints as other programs leave them, and follows the commands in refusals."""

import json
import re
import subprocess

import pytest
import torch
import transformers
from safetensors.torch import save_file

from hindsight.errors import UserError
from hindsight.merging.checkpoints import SINGLE, open_checkpoint
from hindsight.merging.plan import plan_merge
from hindsight.merging.safetensors_files import TensorReader

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def loaded(folder):
    """What transformers reads, in the dtype of the files; fails if it misses a tensor or finds an unknown one."""
    model, report = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    return model.state_dict()


def read(folder):
    with TensorReader() as reader:
        return {name: reader.read_whole(tensor) for name, tensor in open_checkpoint(folder).tensors.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def edit_config(folder, drop=(), **values):
    path = folder / "config.json"
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in drop}
    path.write_text(json.dumps({**config, **values}))
    return folder


def store(folder, tensors):
    """Replaces the tensors of a checkpoint in one file."""
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    return folder


def advice(base, finetuned):
    """The command in the sentence that refuses a merge."""
    with pytest.raises(UserError) as refused:
        plan_merge(base, finetuned)
    return re.search(r"python -c .*", str(refused.value))[0]


def follow(command, folder, monkeypatch):
    """Runs such a command in a shell, and its program in this process; returns the folder that it writes."""
    monkeypatch.chdir(folder)
    shell = subprocess.run(f'python() {{ printf %s "$2"; }}\n{command}', shell=True, capture_output=True, text=True)
    assert (shell.returncode, shell.stderr) == (0, "")
    exec(shell.stdout, {})
    return next(folder.glob("*_rewritten"))
