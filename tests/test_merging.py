"""Merging: the laws of LERP and SLERP, checkpoints made on the spot, and what is refused."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scripts import ROOT, run_script
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from hindsight.merging import MERGE_FILE, merge_tensors, slerp

ALPHAS = st.floats(0, 1)


def tensors(seed, shape=(4, 5), dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype), torch.randn(shape, generator=generator).to(dtype)


@given(st.integers(0, 50), st.sampled_from(["lerp", "slerp"]), st.sampled_from([torch.bfloat16, torch.float32]))
def test_the_ends_are_the_inputs_bit_for_bit(seed, method, dtype):
    base, finetuned = tensors(seed, dtype=dtype)
    assert torch.equal(merge_tensors(base, finetuned, 0.0, method), base)
    assert torch.equal(merge_tensors(base, finetuned, 1.0, method), finetuned)


@given(st.integers(0, 50), ALPHAS, st.sampled_from(["lerp", "slerp"]))
def test_swapping_the_models_and_alpha_changes_nothing(seed, alpha, method):
    base, finetuned = tensors(seed, dtype=torch.float32)
    there, back = merge_tensors(base, finetuned, alpha, method), merge_tensors(finetuned, base, 1 - alpha, method)
    assert torch.allclose(there, back, atol=1e-5)


@given(st.integers(0, 50), ALPHAS)
def test_slerp_between_unit_tensors_stays_on_the_sphere(seed, alpha):
    base, finetuned = (tensor / tensor.norm() for tensor in tensors(seed, dtype=torch.float32))
    assert merge_tensors(base, finetuned, alpha, "slerp").norm().item() == pytest.approx(1, abs=1e-5)


def test_values_worked_out_by_hand():
    base, finetuned = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert merge_tensors(base, finetuned, 0.25, "lerp").tolist() == [0.75, 0.25]
    half = merge_tensors(base, finetuned, 1 / 3, "slerp").tolist()
    assert half == pytest.approx([math.cos(math.pi / 6), math.sin(math.pi / 6)])


@pytest.mark.parametrize("angle", [1e-3, 1e-5, 1e-7])
def test_slerp_is_exact_at_the_small_angles_of_a_fine_tune(angle):
    base = torch.tensor([1.0, 0.0], dtype=torch.float64)
    finetuned = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    merged = slerp(base.float(), finetuned.float(), 0.7)
    assert merged[1].item() == pytest.approx(math.sin(0.7 * angle), rel=1e-6)


@pytest.mark.parametrize("pair", [([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [1.0, 2.0]), ([2.0], [3.0]), ([1.0], [-1.0])])
def test_slerp_takes_the_line_where_there_is_no_arc(pair):
    base, finetuned = torch.tensor(pair[0]), torch.tensor(pair[1])
    merged = merge_tensors(base, finetuned, 0.5, "slerp")
    assert merged.tolist() == pytest.approx(merge_tensors(base, finetuned, 0.5, "lerp").tolist())


def test_lerp_is_rounded_once_from_float32():
    base, finetuned = tensors(7)
    expected = ((1 - 0.75) * base.float() + 0.75 * finetuned.float()).to(torch.bfloat16)
    assert torch.equal(merge_tensors(base, finetuned, 0.75), expected)


@pytest.fixture
def pair(tmp_path):
    """Two tiny Llama checkpoints of one shape, the fine-tuned one in shards."""
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
    )
    for seed, name in enumerate(("base", "finetuned")):
        torch.manual_seed(seed)
        shards = {"max_shard_size": "20KB"} if name == "finetuned" else {}
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path / name, **shards)
    return tmp_path


def merge(pair, *flags):
    models = ["--base_model", pair / "base", "--finetuned_model", pair / "finetuned", "--output_dir", pair / "out"]
    return run_script("merge_models.py", *models, *flags)


def state(folder):
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def test_a_merged_checkpoint_is_the_interpolated_state_and_loads(pair):
    result = merge(pair, "--alphas", 0.7, 0.25)
    assert result.returncode == 0, result.stderr
    assert len(list((pair / "finetuned").glob("*.safetensors"))) > 1
    base, finetuned = state(pair / "base"), state(pair / "finetuned")
    for alpha in (0.7, 0.25):
        merged = state(pair / "out" / f"alpha_{alpha}")
        for name in base:
            assert torch.equal(merged[name], merge_tensors(base[name], finetuned[name], alpha))
        loaded = AutoModelForCausalLM.from_pretrained(pair / "out" / f"alpha_{alpha}", dtype="auto")
        assert torch.equal(loaded.state_dict()["model.norm.weight"], merged["model.norm.weight"])
    assert json.loads((pair / "out" / "alpha_0.7" / MERGE_FILE).read_text())["alpha"] == 0.7


def test_a_merge_that_is_there_is_not_made_again_and_another_is_refused(pair):
    merge(pair, "--alphas", 0.7)
    path = pair / "out" / "alpha_0.7" / MERGE_FILE
    before = path.stat().st_mtime_ns
    assert merge(pair, "--alphas", 0.7).returncode == 0
    assert path.stat().st_mtime_ns == before
    result = merge(pair, "--alphas", 0.7, "--method", "slerp")
    assert (result.returncode, "holds another merge" in result.stderr) == (2, True)


def test_a_merge_of_other_models_into_the_same_folder_is_refused(pair):
    merge(pair, "--alphas", 0.7)
    result = merge(pair, "--alphas", 0.7, "--base_model", pair / "finetuned")
    assert (result.returncode, "holds another merge" in result.stderr) == (2, True)


def change(folder, edit):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def test_what_cannot_be_merged_is_refused_with_the_tensor(pair):
    change(pair / "base", lambda tensors: tensors.update({"model.norm.weight": torch.ones(7, dtype=torch.bfloat16)}))
    result = merge(pair)
    assert (result.returncode, "model.norm.weight: shapes [7] and [32] differ" in result.stderr) == (2, True)
    change(pair / "base", lambda tensors: tensors.pop("model.norm.weight"))
    result = merge(pair)
    assert "lacks 1 tensors" in result.stderr
    assert "model.norm.weight" in result.stderr
    assert not (pair / "out" / "alpha_0.7").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--alphas", "1.5"], "ALPHAS lie in [0, 1]"),
        (["--method", "mean"], "METHOD is lerp or slerp"),
        (["--base_model", "no/such/folder"], "there is no checkpoint folder"),
        (["--base_model", str(ROOT / "tests")], "has neither"),
    ],
)
def test_bad_input_is_one_sentence(pair, flags, sentence):
    result = merge(pair, *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr


def test_an_adapter_is_refused(pair):
    (pair / "finetuned" / "adapter_config.json").write_text("{}")
    result = merge(pair)
    assert (result.returncode, "is an adapter" in result.stderr) == (2, True)
