"""LERP and SLERP beside mergekit's (https://github.com/arcee-ai/mergekit), on the same checkpoints."""

import pytest
import torch
import yaml
from pico import merge_into, pair, state
from scripts import ROOT

from hindsight.merging.mergekit import read_mergekit

pytestmark = pytest.mark.slow  # together they take seconds

ALPHA = 0.7


def merge_by_mergekit(folder, config):
    """The tensors of mergekit's merge by a config."""
    from mergekit.config import MergeConfiguration  # here, as mergekit takes long to import
    from mergekit.merge import MergeOptions, run_merge

    run_merge(MergeConfiguration.model_validate(config), str(folder), MergeOptions(copy_tokenizer=False, quiet=True))
    return state(folder)


def mergekit(folder, base, finetuned, method):
    """The tensors of mergekit's merge of two models."""
    models = [
        {"model": str(base), "parameters": {"weight": 1 - ALPHA}},
        {"model": str(finetuned), "parameters": {"weight": ALPHA}},
    ]
    config = {"merge_method": method, "models": models, "dtype": "bfloat16"}
    if method == "slerp":
        models = [{"model": str(base)}, {"model": str(finetuned)}]
        config |= {"models": models, "base_model": str(base), "parameters": {"t": ALPHA}}
    return merge_by_mergekit(folder, config)


@pytest.fixture(params=["lab", "llama", "qwen2", "gemma"])
def parents(request, tmp_path):
    """Two checkpoints with different sharding."""
    if request.param == "lab":
        return ROOT / "lab" / "models" / "base", ROOT / "lab" / "models" / "instruct"
    return pair(tmp_path, request.param, base_shards="30KB", finetuned_shards="20KB")


def test_lerp_equals_mergekits_except_for_its_fused_multiply_add(tmp_path, parents):
    """On processors with a fused multiply-add, mergekit rounds once less than we do."""
    theirs = mergekit(tmp_path / "mergekit", *parents, "linear")
    (folder,) = merge_into(*parents, tmp_path / "ours", [ALPHA])
    ours, base, finetuned = state(folder), state(parents[0]), state(parents[1])
    assert ours.keys() == theirs.keys()
    w0, w1 = torch.tensor([1 - ALPHA, ALPHA]).double()
    differing = total = 0
    for name, tensor in ours.items():
        first = (w0 * base[name].double()).float().double()
        fused = (first + w1 * finetuned[name].double()).float().bfloat16()
        plain = (first.float() + (w1 * finetuned[name].double()).float()).bfloat16()
        assert torch.equal(tensor, plain)
        assert bool(((theirs[name] == fused) | (theirs[name] == plain)).all())
        differing += int((tensor != theirs[name]).sum())
        total += tensor.numel()
    assert differing <= 2e-4 * total


BY_PART = """
merge_method: linear
models:
  - model: {0}
    parameters:
      weight: [{{filter: self_attn, value: [1, 0.75, 0.25]}}, {{filter: mlp, value: 0.5}}, {{value: 3}}]
  - model: {1}
    parameters:
      weight: [{{filter: self_attn, value: [0, 0.25, 0.75]}}, {{filter: mlp, value: [0.5]}}, {{value: 1}}]
dtype: bfloat16
"""


def test_a_file_with_filters_and_gradients_is_merged_as_mergekit_does(tmp_path):
    """Where a sum lies between two numbers of bfloat16, each may take the other one, as far from the exact sum."""
    parents = ROOT / "lab" / "models" / "base", ROOT / "lab" / "models" / "instruct"
    path = tmp_path / "merge.yml"
    path.write_text(BY_PART.format(*parents))
    rule = read_mergekit(path).rule
    (folder,) = merge_into(*parents, tmp_path / "ours", [rule.alpha], alpha_of=[str(part) for part in rule.parts])
    theirs, ours = merge_by_mergekit(tmp_path / "mergekit", yaml.safe_load(path.read_text())), state(folder)
    base, finetuned = (state(parent) for parent in parents)
    for name, tensor in ours.items():
        one, other, alpha = base[name].double(), finetuned[name].double(), rule.alpha_of(name)
        exact = (1 - alpha) * one + alpha * other
        error, error_of_theirs = (tensor.double() - exact).abs(), (theirs[name].double() - exact).abs()
        assert bool(((error - error_of_theirs).abs() <= 2**-22 * (one.abs() + other.abs())).all()), name
        assert float((tensor != theirs[name]).float().mean()) < 0.02


def test_slerp_is_the_arc_of_float64_where_mergekit_takes_the_line(tmp_path, parents):
    theirs = mergekit(tmp_path / "mergekit", *parents, "slerp")
    (folder,) = merge_into(*parents, tmp_path / "ours", [ALPHA], "slerp")
    ours, base, finetuned = state(folder), state(parents[0]), state(parents[1])
    farther = 0
    for name, tensor in ours.items():
        exact = arc(base[name], finetuned[name])
        error, other = ((each.double() - exact).abs() for each in (tensor, theirs[name]))
        assert bool((error <= exact.abs() * 2**-8 * 1.0001).all())  # rounded once: half a unit of 8 bits
        farther += int((error > other * 1.0001).sum())
    assert farther <= 1e-3 * sum(tensor.numel() for tensor in ours.values())


def arc(base, finetuned):
    """SLERP in float64, by the cosine."""
    one, other = base.double().flatten(), finetuned.double().flatten()
    cosine = torch.dot(one, other) / (one.norm() * other.norm())
    if one.norm() * other.norm() == 0 or cosine > 1 - 1e-15:
        return (1 - ALPHA) * base.double() + ALPHA * finetuned.double()
    angle = torch.acos(cosine)
    weights = torch.sin((1 - ALPHA) * angle) / torch.sin(angle), torch.sin(ALPHA * angle) / torch.sin(angle)
    return weights[0] * base.double() + weights[1] * finetuned.double()
