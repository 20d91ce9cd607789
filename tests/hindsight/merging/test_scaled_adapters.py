"""A LoRA adapter at several alphas, as adapters that one server takes."""

import json

import pytest
import torch
from adapters import LINEAR, make_adapter, merged_by_peft
from pico import make, merge_into, save, state
from scripts import run_in_process

import merge_models
from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.scaled_adapters import scale_adapter

OPTIONS = {"r": 4, "lora_alpha": 6, "target_modules": [*LINEAR, "embed_tokens"], "use_rslora": True}
PATTERNS = {"rank_pattern": {"q_proj": 8, "o_proj": 2}, "alpha_pattern": {"v_proj": 3}}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make(tmp_path_factory.mktemp("base"), dtype=torch.float32)


def test_an_adapter_at_an_alpha_is_the_merge_at_this_alpha(base, tmp_path):
    adapter = make_adapter(tmp_path / "adapter", base, **OPTIONS, **PATTERNS)
    rules = [AlphaRule.parse(0.4), AlphaRule.parse(0.4, ["layers.1.mlp:0.9"])]
    folders, command = scale_adapter(base, adapter, tmp_path / "scaled", rules)
    (merged,) = merge_into(base, adapter, tmp_path / "merged", [0.4], alpha_of=["layers.1.mlp:0.9"])
    by_peft = merged_by_peft(base, folders[1])
    for name, tensor in state(merged).items():
        torch.testing.assert_close(by_peft[name], tensor, rtol=1e-6, atol=1e-7)
    modules = [f"alpha_0.4={folders[0]}", f"'alpha_0.4+layers.1.mlp=0.9={folders[1]}'"]
    assert command.startswith(f"vllm serve {base} --enable-lora --max-loras 2 --max-lora-rank 8 --lora-modules ")
    assert all(module.strip("'") in command for module in modules)
    assert folders[0].joinpath("README.md").read_text().startswith(f"---\nbase_model: {base}\n")


def test_alpha_is_in_b_in_float32_and_the_scale_is_1(base, tmp_path):
    adapter = make_adapter(tmp_path / "adapter", base, r=4, lora_alpha=6, target_modules=["q_proj"])
    ((folder,), _) = scale_adapter(base, adapter, tmp_path / "scaled", [AlphaRule.parse(0.5)])
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["lora_alpha"], config["r"], config["use_rslora"]) == (4, 4, False)
    for name, tensor in state(folder).items():
        before = state(adapter)[name]
        assert tensor.equal(before * 0.75 if "lora_B" in name else before)  # 0.5 * 6 / 4


def test_adapters_that_exist_are_kept_and_others_are_not_overwritten(base, tmp_path):
    adapter = make_adapter(tmp_path / "adapter", base, r=4, target_modules=["q_proj"])
    said, rules = [], [AlphaRule.parse(0.5)]
    for _ in range(2):
        scale_adapter(base, adapter, tmp_path / "scaled", rules, said.append)
    assert said.count(f"{tmp_path / 'scaled' / 'alpha_0.5'} already exists") == 1
    other = make_adapter(tmp_path / "other", base, r=2, target_modules=["q_proj"])
    with pytest.raises(UserError, match="alpha_0.5 exists and holds something else; choose another --output_dir"):
        scale_adapter(base, other, tmp_path / "scaled", rules)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"use_dora": True}, "uses DoRA, which is not linear in alpha: merge it into checkpoints, without AS_ADAPTERS"),
        (
            {"modules_to_save": ["lm_head"]},
            r"has whole tensors \(lm_head.weight\), which vLLM's LoRA does not",
        ),
        ({"trainable_token_indices": [1, 2]}, "trains rows of the embedding, which vLLM's LoRA does not accept"),
        ({"r": 513}, "has rank 513, and vLLM's LoRA ends at 512"),
    ],
)
def test_what_vllm_does_not_serve_is_refused_with_the_reason(base, tmp_path, options, sentence):
    adapter = make_adapter(tmp_path / "adapter", base, **{"r": 4, "target_modules": ["q_proj"], **options})
    with pytest.raises(UserError, match=sentence):
        scale_adapter(base, adapter, tmp_path / "scaled", [AlphaRule.parse(0.5)])
    assert not (tmp_path / "scaled").exists()


def test_a_whole_model_is_no_adapter(tmp_path):
    base = save(tmp_path / "base", {"w.weight": torch.ones(2, 2)})
    flags = ["--base_model", base, "--finetuned_model", base, "--output_dir", tmp_path / "out", "--as_adapters", "true"]
    result = run_in_process(merge_models, *flags)
    assert result.returncode == 2
    assert "AS_ADAPTERS needs a LoRA adapter, and" in result.stderr
    result = run_in_process(merge_models, *flags, "--method", "slerp")
    assert (result.returncode, "METHOD has to be lerp" in result.stderr) == (2, True)
