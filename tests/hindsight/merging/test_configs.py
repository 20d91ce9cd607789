"""Which differences of two configs make a merge meaningless, and which are only reported."""

import json
import shutil

import pytest
import torch
from odd_checkpoints import edit_config
from pico import SIZES, classes_of, save

from hindsight.errors import UserError
from hindsight.merging.plan import plan_merge


def configured(tmp_path, base=None, finetuned=None, family="llama"):
    """A plan for two checkpoints with the same weights and these settings in their configs."""
    (tmp_path / "base").mkdir()
    config, model, own = classes_of(family)
    torch.manual_seed(0)
    model(config(**{**SIZES, **own})).save_pretrained(tmp_path / "base")
    shutil.copytree(tmp_path / "base", tmp_path / "finetuned")
    for name, changes in (("base", base), ("finetuned", finetuned)):
        edit_config(tmp_path / name, [key for key, value in (changes or {}).items() if value is None],
                    **{key: value for key, value in (changes or {}).items() if value is not None})  # fmt: skip
    return plan_merge(tmp_path / "base", tmp_path / "finetuned")


@pytest.mark.parametrize(
    ("base", "finetuned", "key"),
    [
        ({}, {"num_attention_heads": 4, "head_dim": 8, "num_key_value_heads": 2}, "num_attention_heads is 2 in"),
        ({}, {"num_key_value_heads": 2, "head_dim": None}, "num_key_value_heads is 1 in"),
        ({}, {"num_key_value_heads": None}, "num_key_value_heads is 1 in .* and 2 in"),  # by default one for each head
        ({}, {"head_dim": 8}, "head_dim is 16 in .* and 8 in"),
        ({}, {"hidden_act": "gelu"}, "hidden_act is 'silu' in .* and 'gelu' in"),
        ({"partial_rotary_factor": 0.5}, {"partial_rotary_factor": 1.0}, "partial_rotary_factor is 0.5 in"),
    ],
)
def test_settings_that_give_the_same_shapes_another_meaning_are_refused(tmp_path, base, finetuned, key):
    with pytest.raises(UserError, match=f"{key} .*finetuned: their weights of the same shape mean different things"):
        configured(tmp_path, base, finetuned)


@pytest.mark.parametrize(
    ("base", "finetuned", "note"),
    [
        ({"rms_norm_eps": 1e-5}, {"rms_norm_eps": 1e-6}, "rms_norm_eps 1e-05 and 1e-06"),
        ({"max_position_embeddings": 64}, {}, "max_position_embeddings 64 and 2048"),
        (
            {"rope_theta": 1e4, "rope_parameters": None},
            {"rope_theta": 1e6, "rope_parameters": None},
            "rope_theta 10000.0 and 1000000.0",
        ),
        (
            {"rope_theta": 1e4, "rope_parameters": None},
            {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
            "rope_parameters None and {'rope_type': 'default', 'rope_theta': 1000000.0}; rope_theta 10000.0 and None",
        ),
    ],
)
def test_settings_that_fine_tuning_may_change_are_reported(tmp_path, base, finetuned, note):
    assert configured(tmp_path, base, finetuned).notes[0] == f"the configs differ: {note}"


@pytest.mark.parametrize(
    ("base", "finetuned"),
    [
        (
            {"rope_theta": 1e6, "rope_parameters": None},
            {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        ),
        (
            {"rope_theta": 1e6, "rope_scaling": None, "rope_parameters": None},
            {"rope_theta": 1e6, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": None},
            {"rope_scaling": {"rope_type": "linear", "factor": 2}, "rope_parameters": None},
        ),
        ({"head_dim": None}, {"head_dim": 16}),
        ({"num_key_value_heads": 2}, {"num_key_value_heads": None}),
    ],
)
def test_two_ways_to_write_a_setting_are_no_difference(tmp_path, base, finetuned):
    plan = configured(tmp_path, base, finetuned)
    assert [note for note in plan.notes if "config" in note] == []
    assert plan.config == json.loads((tmp_path / "finetuned" / "config.json").read_text())


def test_two_names_of_one_activation_are_reported_only(tmp_path):
    found = configured(tmp_path, {"hidden_activation": "gelu"}, {"hidden_activation": "gelu_pytorch_tanh"}, "gemma")
    assert found.notes[0] == "the configs differ: hidden_activation 'gelu' and 'gelu_pytorch_tanh'"


def test_a_type_that_transformers_does_not_know_is_compared_as_its_configs_stand(tmp_path):
    base = save(tmp_path / "base", {"w": torch.ones(2)}, model_type="ours", rope_theta=1.0)
    finetuned = save(tmp_path / "finetuned", {"w": torch.ones(2)}, model_type="ours", n_head=4)
    assert plan_merge(base, finetuned).notes[0] == "the configs differ: n_head None and 4; rope_theta 1.0 and None"
    other = save(tmp_path / "other", {"w": torch.ones(2)}, model_type="ours", n_head=8)
    with pytest.raises(UserError, match="n_head is 4 in .*finetuned and 8 in"):
        plan_merge(finetuned, other)
