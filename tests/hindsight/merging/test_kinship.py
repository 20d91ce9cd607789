"""How far apart two checkpoints are by a sample of their weights: fine-tunes pass, strangers are refused."""

import math

import pytest
import torch
from pico import make, merge_into, pair, save, state
from scripts import ROOT, run_in_process

import merge_models
from hindsight import serving
from hindsight.errors import UserError
from hindsight.merging import kinship as kinship_module
from hindsight.merging.kinship import check_kinship, choose_sample, measure_kinship
from hindsight.merging.plan import plan_merge

LAB = ROOT / "lab" / "models"


def plan_of(folder, base, finetuned):
    """The plan for two checkpoints with these tensors."""
    return plan_merge(*(save(folder / name, each) for name, each in (("base", base), ("finetuned", finetuned))))


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_cosine_and_the_distance_are_those_of_the_matrices_layer_by_layer(tmp_path):
    base = {f"model.layers.{n}.mlp.up_proj.weight": torch.tensor([[3.0, 4.0]] * 2000) for n in range(3)}
    finetuned = dict(base)
    finetuned["model.layers.1.mlp.up_proj.weight"] = torch.tensor([[4.0, 3.0]] * 2000)
    finetuned["model.layers.2.mlp.up_proj.weight"] = torch.tensor([[-4.0, 3.0]] * 2000)
    kinship = measure_kinship(plan_of(tmp_path, base, finetuned).pairs)
    cosines = [kinship.by_layer[layer].cosine for layer in range(3)]
    assert cosines == pytest.approx([1, 24 / 25, 0], abs=1e-12)
    assert (kinship.cosine, kinship.elements) == (pytest.approx(24 / 25), 12000)
    assert kinship.distance == pytest.approx(math.sqrt(2) / 5)


def test_weights_that_unrelated_models_have_in_common_do_not_count(tmp_path):
    common = {"model.embed_tokens.weight": torch.ones(99, 99), "model.layers.0.input_layernorm.weight": torch.ones(99)}
    common |= {"model.layers.0.self_attn.q_proj.bias": torch.ones(9999), "lm_head.weight": torch.ones(99, 99)}
    sides = [{**common, "model.layers.0.mlp.up_proj.weight": noise(seed, 99, 99)} for seed in (0, 1)]
    kinship = measure_kinship(plan_of(tmp_path, *sides).pairs)
    assert (kinship.elements, kinship.is_unrelated) == (99 * 99, True)
    assert abs(kinship.cosine) < 4 / 99
    assert kinship.distance == pytest.approx(math.sqrt(2), rel=0.05)


@pytest.mark.parametrize(("moved", "passes"), [(0.0, True), (1.0, True), (3.0, True), (30.0, False)])
def test_a_heavy_fine_tune_passes(tmp_path, moved, passes):
    """Moved by three times its norm in a direction of its own, a model has the cosine 1 / sqrt(10) = 0.32."""
    base = {f"model.layers.{n}.mlp.up_proj.weight": noise(n, 99, 99) for n in range(3)}
    finetuned = {name: tensor + moved * noise(9 + n, 99, 99) for n, (name, tensor) in enumerate(base.items())}
    plan = plan_of(tmp_path, base, finetuned)
    assert measure_kinship(plan.pairs).cosine == pytest.approx(1 / math.sqrt(1 + moved**2), abs=0.02)
    if passes:
        assert check_kinship(plan) == []
    else:
        with pytest.raises(UserError, match="finetuned is farther from .*base than any fine-tune"):
            check_kinship(plan)


def test_the_sample_is_spread_over_the_layers_and_reads_a_part_of_large_matrices(tmp_path, monkeypatch):
    names = [f"model.layers.{n}.{part}.weight" for n in range(10) for part in ("mlp.a", "mlp.b", "self_attn.q_proj")]
    base = {name: torch.zeros(4, 100) for name in names}
    finetuned = {name: tensor.clone() for name, tensor in base.items()}
    for each in (base, finetuned):
        for tensor in each.values():
            tensor.view(-1)[150:250] = 1.0
    monkeypatch.setattr(kinship_module, "SAMPLED_MATRICES", 10)
    monkeypatch.setattr(kinship_module, "SAMPLED_ELEMENTS", 100)
    pairs = plan_of(tmp_path, base, finetuned).pairs
    assert [kinship_module.layer_of(each.name) for each in choose_sample(pairs)] == list(range(10))
    kinship = measure_kinship(pairs)
    assert {comparison.base_square for comparison in kinship.by_layer.values()} == {100.0}  # the middle of each


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_what_says_nothing_is_not_refused(tmp_path, value):
    tensors = {"model.layers.0.mlp.up_proj.weight": torch.full((99, 99), value)}
    assert check_kinship(plan_of(tmp_path / "odd", tensors, tensors)) == []
    few = [{"model.layers.0.mlp.up_proj.weight": noise(seed, 9, 9)} for seed in (0, 1)]
    assert check_kinship(plan_of(tmp_path / "few", *few)) == []
    none = [{"w": noise(seed, 99, 99)} for seed in (0, 1)]
    assert check_kinship(plan_of(tmp_path / "none", *none)) == []


def test_a_stranger_is_refused_before_anything_is_written_and_merged_if_told(tmp_path):
    base, stranger = make(tmp_path / "base", seed=0), make(tmp_path / "stranger", seed=1)
    models = ["--base_model", base, "--finetuned_model", stranger, "--output_dir", tmp_path / "out"]
    for flags in ([], ["--dry_run"]):
        result = run_in_process(merge_models, *models, *flags)
        assert (result.returncode, len(result.stderr.strip().splitlines())) == (2, 1)
        assert "stranger is farther from" in result.stderr and "or ALLOW_UNRELATED to merge anyway" in result.stderr
        assert not (tmp_path / "out").exists()
    result = run_in_process(serving, "--model", stranger, "--merge_base", base)
    assert (result.returncode, "stranger is farther from" in result.stderr) == (2, True)
    assert run_in_process(merge_models, *models, "--allow_unrelated").returncode == 0
    assert "than any fine-tune (median cosine" in (tmp_path / "out" / "alpha_0.7" / "README.md").read_text()


def test_a_fine_tune_is_merged_without_a_word(tmp_path):
    said = []
    (folder,) = merge_into(*pair(tmp_path), tmp_path / "out", [0.5], allow_unrelated=False, say=said.append)
    assert not [sentence for sentence in said if "fine-tune" in sentence] and state(folder)
    assert measure_kinship(plan_merge(LAB / "base", LAB / "instruct").pairs).cosine > 0.99


def test_a_dry_run_prints_the_distances_by_layer_and_writes_nothing(tmp_path):
    result = run_in_process(merge_models, "--dry_run", "--output_dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "    3                       0.0827  0.9966\nmedian                      0.0803  0.9968\n" in result.stdout
    assert not (tmp_path / "out").exists()
