"""LERP and SLERP beside mergekit's (https://github.com/arcee-ai/mergekit), on the same checkpoints."""

import pytest
import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
from pico import merge_into, pair, state
from scripts import ROOT

pytestmark = pytest.mark.slow  # together they take over ten seconds

ALPHA = 0.7


def mergekit(folder, base, finetuned, method):
    """The tensors of mergekit's merge."""
    models = [
        {"model": str(base), "parameters": {"weight": 1 - ALPHA}},
        {"model": str(finetuned), "parameters": {"weight": ALPHA}},
    ]
    config = {"merge_method": method, "models": models, "dtype": "bfloat16"}
    if method == "slerp":
        models = [{"model": str(base)}, {"model": str(finetuned)}]
        config |= {"models": models, "base_model": str(base), "parameters": {"t": ALPHA}}
    run_merge(MergeConfiguration.model_validate(config), str(folder), MergeOptions(copy_tokenizer=False, quiet=True))
    return state(folder)


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
