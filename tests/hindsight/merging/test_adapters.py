"""A LoRA adapter as the fine-tuned model: base + alpha * scale * B A, as peft merges it."""

import json
import re
import shutil

import adapters
import pytest
import torch
from adapters import LINEAR, make_adapter, make_gpt2, merged_by_peft, open_with_peft, save_adapter
from pico import make, merge_into, save, state

from hindsight.errors import UserError
from hindsight.files.records import read_record
from hindsight.merging import adapted_tensors

Q = "model.layers.0.self_attn.q_proj"
KINDS = {
    "ranks, scales and rsLoRA": (
        "llama",
        {"target_modules": LINEAR, "use_rslora": True, "rank_pattern": {"q_proj": 8, r"1\.mlp\.up_proj": 2}}
        | {"alpha_pattern": {"v_proj": 3}},
    ),
    "whole modules": ("llama", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}),
    "embedding and head": ("llama", {"target_modules": ["embed_tokens", "lm_head"]}),
    "rows of a tied embedding": ("qwen2", {"target_modules": ["q_proj"], "trainable_token_indices": [3, 7, 1]}),
    "whole embedding that was tied": ("qwen2", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}),
    "all biases": ("qwen2", {"target_modules": ["q_proj"], "bias": "all"}),
    "LoRA for biases": ("qwen2", {"target_modules": ["q_proj", "k_proj"], "lora_bias": True}),
    "one layer": ("llama", {"target_modules": LINEAR, "layers_to_transform": [1], "exclude_modules": ["up_proj"]}),
    "DoRA": ("llama", {"target_modules": [*LINEAR, "embed_tokens"], "use_dora": True}),
    "GPT-2": ("gpt2", {"target_modules": ["c_attn", "c_proj"]}),
    "DoRA of GPT-2": ("gpt2", {"target_modules": ["c_attn", "c_proj"], "use_dora": True}),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    made = {family: make(folder / family, family, dtype=torch.float32) for family in ("llama", "qwen2")}
    return {**made, "gpt2": make_gpt2(folder / "gpt2")}


def rank_one(folder, base_dtype=torch.float32, **config):
    """W = [[1, 2, 3], [4, 5, 6]], B A = [[1], [2]] [[1, 0, -1]]: (base, adapter)."""
    weight = torch.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=base_dtype)
    base = save(folder / "base", {"w.weight": weight, "norm.weight": torch.ones(2, dtype=base_dtype)})
    factors = {"lora_A": torch.tensor([[1.0, 0, -1]]), "lora_B": torch.tensor([[1.0], [2]])}
    tensors = {f"base_model.model.w.{part}.weight": factor for part, factor in factors.items()}
    return base, save_adapter(folder / "adapter", tensors, **{"r": 1, "lora_alpha": 4, **config})


def read_card(folder):
    return (folder / "README.md").read_text()


def test_merged_is_base_plus_alpha_times_scale_times_b_a(tmp_path):
    folders = merge_into(*rank_one(tmp_path), tmp_path / "out", [0, 0.25, 1])
    expected = [
        [[1, 2, 3], [4, 5, 6]],
        [[2, 2, 2], [6, 5, 4]],  # 0.25 * 4 = 1 time B A
        [[5, 2, -1], [12, 5, -2]],
    ]
    for folder, values in zip(folders, expected, strict=True):
        assert state(folder)["w.weight"].tolist() == values
        assert state(folder)["norm.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_1_has_the_bits_of_pefts_merge_and_unload(bases, tmp_path, kind):
    family, options = KINDS[kind]
    adapter = make_adapter(tmp_path / "adapter", bases[family], r=4, lora_alpha=6, **options)
    (folder,) = merge_into(bases[family], adapter, tmp_path / "out", [1])
    merged, by_peft = state(folder), merged_by_peft(bases[family], adapter)
    assert all(tensor.equal(by_peft[name]) for name, tensor in merged.items())
    assert by_peft.keys() - merged.keys() <= {"lm_head.weight"}  # tied
    assert any(not tensor.equal(merged[name]) for name, tensor in state(bases[family]).items())


@pytest.mark.parametrize(
    ("modules", "ensured"), [(["embed_tokens"], False), (["lm_head"], False), (["embed_tokens"], True)]
)
def test_a_tied_embedding_with_lora_answers_as_the_model_that_was_trained(bases, tmp_path, modules, ensured):
    """peft's own merge adds the change to the one tensor that is both, or adds it twice."""
    options = {"target_modules": [*modules, "q_proj"], "ensure_weight_tying": ensured}
    adapter = make_adapter(tmp_path / "adapter", bases["qwen2"], r=4, **options)
    notes = []
    (folder,) = merge_into(bases["qwen2"], adapter, tmp_path / "out", [1], say=notes.append)
    tokens = torch.arange(1, 30).view(1, -1)
    with torch.no_grad():
        trained, merged = open_with_peft(bases["qwen2"], adapter)(tokens).logits, adapters.load(folder)(tokens).logits
    torch.testing.assert_close(merged, trained, atol=2e-6, rtol=1e-5)
    assert ("lm_head.weight" in state(folder)) is not ensured
    assert any("has a head of its own" in note for note in notes) is not ensured


def test_a_merge_in_bfloat16_rounds_once(tmp_path):
    base = make(tmp_path / "base", dtype=torch.bfloat16)
    adapter = make_adapter(tmp_path / "adapter", base, r=4, target_modules=["q_proj"])
    (folder,) = merge_into(base, adapter, tmp_path / "out", [0.4])
    factors = state(adapter)
    a, b = (factors[f"base_model.model.{Q}.lora_{each}.weight"].double() for each in "AB")
    exact = state(base)[f"{Q}.weight"].double() + 0.4 * (8 / 4) * (b @ a)
    merged = state(folder)[f"{Q}.weight"]
    assert merged.dtype == torch.bfloat16
    assert ((merged.double() - exact).abs() <= 2**-9 * 1.001 * 2 ** exact.abs().log2().ceil()).all()


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_an_adapter_merges_as_the_checkpoint_that_it_stands_for(bases, tmp_path, method):
    options = {"r": 4, "target_modules": LINEAR, "use_dora": True}
    adapter = make_adapter(tmp_path / "adapter", bases["llama"], **options)
    (whole,) = merge_into(bases["llama"], adapter, tmp_path / "whole", [1])
    (one,) = merge_into(bases["llama"], adapter, tmp_path / "one", [0.3], method)
    (other,) = merge_into(bases["llama"], whole, tmp_path / "other", [0.3], method)
    assert all(tensor.equal(state(other)[name]) for name, tensor in state(one).items())
    rows = [read_record(folder / "merge.json")["tensors"] for folder in (one, other)]
    assert [row["comparison"] for row in rows[0]] == [row["comparison"] for row in rows[1]]


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": LINEAR, "use_dora": True, "trainable_token_indices": [3, 63]},
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["embed_tokens"], "use_dora": True},
    ],
)
def test_blocks_change_no_bit(bases, tmp_path, monkeypatch, options):
    adapter = make_adapter(tmp_path / "adapter", bases["llama"], r=4, **options)
    (whole,) = merge_into(bases["llama"], adapter, tmp_path / "whole", [0.5, 1])[1:]
    monkeypatch.setattr(adapted_tensors, "BLOCK_ELEMENTS", 16 * 32)
    (blocks,) = merge_into(bases["llama"], adapter, tmp_path / "blocks", [1])
    assert all(tensor.equal(state(whole)[name]) for name, tensor in state(blocks).items())


def test_a_killed_merge_resumes_and_another_scale_is_another_merge(bases, tmp_path, monkeypatch):
    adapter = make_adapter(tmp_path / "adapter", bases["llama"], r=4, target_modules=LINEAR)
    (whole,) = merge_into(bases["llama"], adapter, tmp_path / "whole", [0.5], max_shard_gb=2e-5)
    computed, block = [], adapted_tensors.LoraTensor.block

    def killed(tensor, reader, first):
        computed.append(tensor)
        if len(computed) == 8:
            raise KeyboardInterrupt
        return block(tensor, reader, first)

    monkeypatch.setattr(adapted_tensors.LoraTensor, "block", killed)
    with pytest.raises(KeyboardInterrupt):
        merge_into(bases["llama"], adapter, tmp_path / "out", [0.5], max_shard_gb=2e-5)
    (folder,) = merge_into(bases["llama"], adapter, tmp_path / "out", [0.5], max_shard_gb=2e-5)
    assert len(computed) < 8 + 14  # complete shards were kept
    assert all(path.read_bytes() == (whole / path.name).read_bytes() for path in folder.glob("*.safetensors"))
    config = json.loads((adapter / "adapter_config.json").read_text())
    shutil.copytree(adapter, tmp_path / "same")
    notes = []
    merge_into(bases["llama"], tmp_path / "same", tmp_path / "out", [0.5], max_shard_gb=2e-5, say=notes.append)
    assert any("already exists" in note for note in notes)
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 9}))
    with pytest.raises(UserError, match="finetuned was .*adapter with other weights"):
        merge_into(bases["llama"], adapter, tmp_path / "out", [0.5], max_shard_gb=2e-5)


def test_the_tokenizer_is_the_adapters_if_it_has_one(tmp_path):
    base, adapter = rank_one(tmp_path)
    for folder, names in (
        (base, ("tokenizer_config.json", "added_tokens.json")),
        (adapter, ("tokenizer_config.json",)),
    ):
        for name in names:
            (folder / name).write_text(json.dumps({"of": folder.name}))
    (adapter / "optimizer.json").write_text("{}")
    (by_adapter,) = merge_into(base, adapter, tmp_path / "out", [0.5])
    assert json.loads((by_adapter / "tokenizer_config.json").read_text()) == {"of": "adapter"}
    assert not (by_adapter / "added_tokens.json").exists()
    assert not (by_adapter / "optimizer.json").exists()
    assert (by_adapter / "config.json").exists()
    assert "are those of the base, tokenizer and chat template are those of the fine" in read_card(by_adapter)
    (by_base,) = merge_into(base, adapter, tmp_path / "other", [0.5], config_from="base")
    assert json.loads((by_base / "tokenizer_config.json").read_text()) == {"of": "base"}
    assert "Config, tokenizer and chat template are those of the base." in read_card(by_base)


def test_another_name_of_the_base_is_reported(tmp_path):
    notes = []
    base, adapter = rank_one(tmp_path, base_model_name_or_path="somebody/model-bnb-4bit")
    merge_into(base, adapter, tmp_path / "out", [0.5], say=notes.append)
    assert any(
        re.search("adapter was trained on somebody/model-bnb-4bit, .* merged with .*base", note) for note in notes
    )


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"peft_type": "IA3"}, "is an adapter of type IA3, not LORA: merge it into its base first"),
        ({"peft_type": "LOHA"}, "type LOHA, not LORA"),
        ({"peft_type": "OFT"}, "type OFT, not LORA"),
        ({"peft_type": "ADALORA"}, "type ADALORA, not LORA"),
        ({"peft_type": "PROMPT_TUNING"}, "type PROMPT_TUNING, which does not change weights"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "with layer_replication, which is not base"),
        ({"alora_invocation_tokens": [1, 2]}, "with alora_invocation_tokens, which is not base"),
        ({"init_lora_weights": "pissa_niter_4"}, "with init_lora_weights 'pissa_niter_4', which changes the base"),
        ({"r": "8"}, r"adapter_config.json: the rank r is '8'"),
        ({"alpha_pattern": {"v": None}}, "adapter_config.json: the scale v is None"),
        ({"rank_pattern": {"(": 8}}, r"rank_pattern in .* has '\(', which is not a regular expression"),
        ({"r": 2}, r"w has \[2, 1\] times \[1, 3\] in the file, rank 2 by adapter_config.json"),
    ],
)
def test_what_is_no_plain_lora_is_refused_by_name(tmp_path, config, sentence):
    with pytest.raises(UserError, match=sentence):
        merge_into(*rank_one(tmp_path, **config), tmp_path / "out", [0.5])


A, B = torch.ones(1, 3), torch.ones(2, 1)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (
            {"w.lora_A.weight": torch.ones(1, 4)},
            r"is for w.weight of shape \[2, 4\], and .* has \[2, 3\]: .* another base",
        ),
        (
            {"v.lora_A.weight": A, "v.lora_B.weight": B},
            r"1 tensors of .* have no counterpart in .*base: v.weight; .* another",
        ),
        ({"w.oft_R": A}, r"no counterpart in .*: w.oft_R"),
        ({"w.lora_B.weight": None}, "has lora_A of w, which is not all that a LoRA layer needs"),
        ({"w.lora_B.bias": torch.ones(2)}, "has a bias for w .*, which has none in .*base: it cannot be merged"),
        ({"norm.weight": torch.ones(3)}, r"norm.weight of shape \[3\], and .* has \[2\]"),
        ({"embed_tokens.weight": torch.ones(5, 2)}, "the vocabulary was resized"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_with_the_tensor(tmp_path, tensors, sentence):
    base, adapter = rank_one(tmp_path)
    save(base, {**state(base), "embed_tokens.weight": torch.ones(4, 2)})
    changed = {**state(adapter), **{f"base_model.model.{name}": tensor for name, tensor in tensors.items()}}
    save_adapter(adapter, {name: each for name, each in changed.items() if each is not None}, r=1, lora_alpha=4)
    with pytest.raises(UserError, match=sentence):
        merge_into(base, adapter, tmp_path / "out", [0.5])


def test_missing_files_of_an_adapter_are_named(tmp_path):
    base, adapter = rank_one(tmp_path)
    (adapter / "adapter_config.json").rename(tmp_path / "config.json")
    with pytest.raises(UserError, match="has adapter_model.safetensors, but no adapter_config.json"):
        merge_into(base, adapter, tmp_path / "out", [0.5])
    (tmp_path / "config.json").rename(adapter / "adapter_config.json")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UserError, match=r"as a pickle only \(adapter_model.bin\); convert them: python -c .*save_file"):
        merge_into(base, adapter, tmp_path / "out", [0.5])
    save_adapter(adapter, {}, r=1)
    with pytest.raises(UserError, match=r"adapter_model.safetensors has no tensors: save the adapter again"):
        merge_into(base, adapter, tmp_path / "out", [0.5])
    with pytest.raises(UserError, match="is an adapter, and not a checkpoint"):
        merge_into(adapter, base, tmp_path / "out", [0.5])
