"""Tensors that one of two models names otherwise, or lacks: the refusal gives a command that works."""

import re

import pytest
import torch
import transformers
from odd_checkpoints import HEAD, advice, edit_config, equal, follow, read, store
from pico import SIZES, make, merge_into, pair, state
from scripts import run_in_process

from hindsight import serving
from hindsight.errors import UserError
from hindsight.merging.checkpoints import open_checkpoint
from hindsight.merging.names import require_whole
from hindsight.merging.plan import plan_merge


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "_orig_mod."),
        ("", "module."),
        ("", "language_model."),
        ("model.", "model._orig_mod."),
        ("model.", ""),
        ("", "model."),
    ],
)
@pytest.mark.parametrize("odd", ["base", "finetuned"])
def test_a_renamed_prefix_is_refused_with_a_command_that_renames_it(tmp_path, monkeypatch, old, new, odd):
    folders = dict(zip(("base", "finetuned"), pair(tmp_path, finetuned_shards=None), strict=True))
    right = state(folders[odd])
    store(folders[odd], {re.sub(f"^{re.escape(old)}", new, name): tensor for name, tensor in right.items()})
    command = advice(folders["base"], folders["finetuned"])
    assert str(folders[odd]) in command
    folders[odd] = follow(command, tmp_path, monkeypatch)
    assert equal(read(folders[odd]), right)
    plan_merge(folders["base"], folders["finetuned"])


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "_checkpoint_wrapped_module."])
def test_a_wrapper_within_the_names_is_refused_with_a_command_that_takes_it_out(tmp_path, monkeypatch, wrapper):
    """As torch leaves it where each layer was compiled, or wrapped for checkpointing."""
    base, finetuned = pair(tmp_path, finetuned_shards=None)
    right = state(finetuned)
    store(finetuned, {re.sub(r"(layers\.\d\.)", rf"\1{wrapper}", name): tensor for name, tensor in right.items()})
    rewritten = follow(advice(base, finetuned), tmp_path, monkeypatch)
    assert equal(read(rewritten), right)


@pytest.mark.parametrize(("old", "new"), [("", "_orig_mod."), ("", "module."), ("model.", "model.language_model.")])
def test_names_that_transformers_does_not_know_are_refused_though_both_models_have_them(
    tmp_path, monkeypatch, old, new
):
    """transformers would draw every weight of the merged model."""
    base, finetuned = folders = pair(tmp_path, finetuned_shards=None)
    right = state(finetuned)
    for folder in folders:
        tensors = state(folder)
        store(folder, {re.sub(f"^{re.escape(old)}", new, name): tensor for name, tensor in tensors.items()})
    with pytest.raises(
        UserError, match="does not find 2[01] tensors in .*base and .*finetuned, such as .*: rename them"
    ) as refused:
        plan_merge(*folders)
    first, second = re.findall(r"python -c .*?'(?= and by |$)", str(refused.value))
    assert equal(read(follow(second, tmp_path, monkeypatch)), right) and str(base) in first


def test_a_model_that_was_saved_without_its_head_is_told_to_save_it(tmp_path):
    base, finetuned = pair(tmp_path, finetuned_shards=None)
    bare = {name.removeprefix("model."): tensor for name, tensor in state(base).items() if name != HEAD}
    with pytest.raises(
        UserError, match="base, names lack 'model.', and its head is missing: save the whole model again"
    ):
        plan_merge(store(base, bare), finetuned)


def test_a_command_that_would_invent_weights_is_not_given(tmp_path):
    """transformers draws weights that it does not find."""
    base, finetuned = pair(tmp_path, finetuned_shards=None)
    right = state(finetuned)
    gone = "model.layers.1.mlp.up_proj.weight"
    store(finetuned, {f"module.{name}": tensor for name, tensor in right.items() if name != gone})
    with pytest.raises(UserError, match=f"names start with 'module.', and {gone} is missing: save the whole model"):
        plan_merge(base, finetuned)
    adapted = {f"base_model.model.{name.replace('q_proj.', 'q_proj.base_layer.')}": w for name, w in right.items()}
    store(finetuned, adapted)
    with pytest.raises(UserError, match="finetuned has an adapter beside its weights: merge it first"):
        plan_merge(base, finetuned)


@pytest.mark.parametrize(
    "part", ["v_head.summary.weight", "mtp.layers.0.fc.weight", "model.layers.2.eh_proj.weight", "score.weight"]
)
def test_a_head_that_only_one_model_has_is_refused_with_a_command_that_leaves_it_out(tmp_path, monkeypatch, part):
    base, finetuned = pair(tmp_path, finetuned_shards=None)
    right = state(finetuned)
    store(finetuned, {**right, part: torch.ones(2, 2, dtype=torch.bfloat16)})
    with pytest.raises(UserError, match=rf"base lacks 1 tensors .*the first is {part} \[2, 2\]; if they are a value"):
        plan_merge(base, finetuned)
    rewritten = follow(advice(base, finetuned), tmp_path, monkeypatch)
    assert equal(read(rewritten), right)


def test_more_layers_are_no_head(tmp_path):
    base, finetuned = make(tmp_path / "base"), make(tmp_path / "finetuned", num_hidden_layers=3)
    with pytest.raises(UserError, match=r"base lacks 9 tensors of .*finetuned") as refused:
        plan_merge(base, finetuned)
    assert "python -c" not in str(refused.value)


def test_a_language_model_within_a_model_with_images_is_refused_with_a_command_that_saves_it(tmp_path, monkeypatch):
    torch.manual_seed(0)
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    images = transformers.CLIPVisionConfig(**vision, image_size=8, patch_size=4, projection_dim=16)
    config = transformers.LlavaConfig(vision_config=images, text_config=transformers.LlamaConfig(**SIZES))
    transformers.LlavaForConditionalGeneration(config).bfloat16().save_pretrained(tmp_path / "llava")
    base = make(tmp_path / "base")
    with pytest.raises(UserError, match="model_type llama and llava; merge the language model of .*llava alone"):
        plan_merge(base, tmp_path / "llava")
    rewritten = follow(advice(base, tmp_path / "llava"), tmp_path, monkeypatch)
    (merged,) = merge_into(base, rewritten, tmp_path / "out", [1.0])
    whole = state(tmp_path / "llava")
    assert all(torch.equal(tensor, whole[f"language_model.{name}"]) for name, tensor in state(merged).items())


def test_the_first_spelling_of_llamas_class_is_no_other_architecture(tmp_path):
    base, finetuned = pair(tmp_path, finetuned_shards=None)
    edit_config(base, architectures=["LLaMAForCausalLM"])
    assert plan_merge(base, finetuned).notes == [
        "the tokenizers were not compared: no tokenizer.json in one of the folders"
    ]


@pytest.mark.parametrize("lost", ["model.layers.0.mlp.gate_proj.weight", "model.layers.1."])
def test_a_layer_without_weights_that_both_models_lack_is_refused(tmp_path, lost):
    """vLLM would serve the first with random numbers, and say nothing."""
    folders = pair(tmp_path, finetuned_shards=None)
    plan_merge(*folders)
    for folder in folders:
        store(folder, {name: tensor for name, tensor in state(folder).items() if not name.startswith(lost)})
    sentence = rf"base lacks \d tensors of its model, such as {re.escape(lost)}.*random numbers"
    with pytest.raises(UserError, match=sentence):
        plan_merge(*folders)
    served = run_in_process(serving, "--model", folders[0])
    assert served.returncode == 2 and re.search(sentence, served.stderr)
    assert "starting" not in served.stdout
    edit_config(folders[0], quantization_config={"quant_method": "awq"})
    require_whole(open_checkpoint(folders[0]))


def test_layers_that_differ_by_design_are_not_refused(tmp_path):
    """A model of linear and full attention, whose layers have other names."""
    config = transformers.Qwen3NextConfig(
        **{**SIZES, "num_hidden_layers": 4}, linear_num_value_heads=2, linear_num_key_heads=2, linear_key_head_dim=8,
        linear_value_head_dim=8, moe_intermediate_size=16, shared_expert_intermediate_size=16, num_experts=2,
    )  # fmt: skip
    transformers.Qwen3NextForCausalLM(config).save_pretrained(tmp_path)
    require_whole(open_checkpoint(tmp_path))
