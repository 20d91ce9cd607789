"""Alphas by part of a model: which tensors a part covers, in the names of real architectures; which part decides."""

import pytest

from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule, layer_of, word_of

LLAMA = {
    "model.embed_tokens.weight": "embeddings",
    "model.layers.0.input_layernorm.weight": "norms",
    "model.layers.0.self_attn.q_proj.weight": "attention",
    "model.layers.0.self_attn.q_proj.bias": "attention",  # Qwen 2
    "model.layers.0.self_attn.q_norm.weight": "norms",  # Qwen 3, Gemma 3
    "model.layers.0.self_attn.o_proj.weight": "attention",
    "model.layers.0.post_attention_layernorm.weight": "norms",
    "model.layers.0.pre_feedforward_layernorm.weight": "norms",  # Gemma 2
    "model.layers.0.mlp.gate_proj.weight": "mlp",
    "model.layers.0.mlp.down_proj.weight": "mlp",
    "model.norm.weight": "norms",
    "lm_head.weight": "head",
}
PHI = {
    "model.layers.0.self_attn.qkv_proj.weight": "attention",  # Phi 3
    "model.layers.0.mlp.gate_up_proj.weight": "mlp",
    "model.layers.0.self_attn.dense.bias": "attention",  # Phi 2
    "model.layers.0.mlp.fc1.weight": "mlp",
    "model.final_layernorm.weight": "norms",
    "lm_head.bias": "head",
}
GPT2 = {
    "wte.weight": "embeddings",
    "wpe.weight": "embeddings",
    "h.0.ln_1.weight": "norms",
    "h.0.attn.c_attn.weight": "attention",
    "h.0.attn.c_proj.bias": "attention",
    "h.0.mlp.c_fc.weight": "mlp",
    "h.0.mlp.c_proj.weight": "mlp",
    "ln_f.bias": "norms",
}
NEOX = {
    "gpt_neox.embed_in.weight": "embeddings",
    "gpt_neox.layers.0.input_layernorm.bias": "norms",
    "gpt_neox.layers.0.attention.query_key_value.weight": "attention",
    "gpt_neox.layers.0.attention.dense.bias": "attention",
    "gpt_neox.layers.0.mlp.dense_h_to_4h.weight": "mlp",
    "gpt_neox.final_layer_norm.weight": "norms",
    "embed_out.weight": "head",
}
MIXTURES = {
    "model.layers.0.block_sparse_moe.gate.weight": "mlp",  # Mixtral
    "model.layers.0.block_sparse_moe.experts.7.w2.weight": "mlp",
    "model.layers.0.mlp.shared_expert_gate.weight": "mlp",  # Qwen's
    "model.layers.0.self_attn.kv_a_layernorm.weight": "norms",  # DeepSeek's
    "transformer.blocks.0.norm_attn_norm.attn.Wqkv.weight": "attention",  # DBRX
    "transformer.blocks.0.norm_attn_norm.norm_1.weight": "norms",
    "transformer.blocks.0.ffn.experts.mlp.w1": "mlp",
}
OTHERS = {
    "model.decoder.layers.0.self_attn_layer_norm.weight": "norms",  # OPT
    "model.decoder.layers.0.fc2.bias": "mlp",
    "model.decoder.embed_positions.weight": "embeddings",
    "transformer.h.0.self_attention.dense.weight": "attention",  # Falcon
    "transformer.word_embeddings_layernorm.weight": "norms",  # Bloom
    "transformer.word_embeddings.weight": "embeddings",
    "backbone.layers.0.mixer.in_proj.weight": None,  # Mamba has neither attention nor MLP
}


@pytest.mark.parametrize("names", [LLAMA, PHI, GPT2, NEOX, MIXTURES, OTHERS])
def test_each_tensor_of_real_architectures_has_one_word(names):
    assert {name: word_of(name) for name in names} == names
    assert {layer_of(name) for name in names} == ({None, 0} if names is not MIXTURES else {0})


def test_the_first_part_that_matches_decides():
    rule = AlphaRule.parse(0.7, ["layers.0-7:0.3", "mlp:0.9", "q_proj:0.5", "layers.8.attention:0", "*proj*:1"])
    expected = {
        "model.layers.7.mlp.up_proj.weight": 0.3,
        "model.layers.8.mlp.up_proj.weight": 0.9,
        "model.layers.8.self_attn.q_proj.weight": 0.5,
        "model.layers.8.self_attn.k_proj.weight": 0.0,
        "model.layers.11.self_attn.qkv_proj.weight": 1.0,
        "model.layers.8.input_layernorm.weight": 0.7,
        "model.embed_tokens.weight": 0.7,
    }
    assert {name: rule.alpha_of(name) for name in expected} == expected


def test_a_piece_of_a_name_ends_at_dots_and_layer_1_is_not_layer_11():
    rule = AlphaRule.parse(0.7, ["experts.1:0.2", "layers.1:0.4", "proj:0"])
    assert rule.alpha_of("model.layers.3.block_sparse_moe.experts.1.w1.weight") == 0.2
    assert rule.alpha_of("model.layers.3.block_sparse_moe.experts.11.w1.weight") == 0.7
    assert rule.alpha_of("h.1.attn.c_attn.weight") == 0.4
    assert rule.alpha_of("h.11.attn.c_proj.weight") == 0.7


def test_a_gradient_runs_from_the_first_layer_of_its_range_to_the_last():
    rule = AlphaRule.parse(0.7, ["layers.2-6:0.2-0.8", "layers.7-11.mlp:0-1-0.5"])
    layers = [rule.alpha_of(f"model.layers.{layer}.mlp.up_proj.weight") for layer in range(1, 13)]
    assert layers == pytest.approx([0.7, 0.2, 0.35, 0.5, 0.65, 0.8, 0, 0.5, 1, 0.75, 0.5, 0.7])
    assert rule.alpha_of("model.layers.2.self_attn.q_proj.weight") == 0.2
    assert rule.alpha_of("model.layers.6.mlp.up_proj.weight") == 0.8  # the ends are exact


@pytest.mark.parametrize("parts", [(), ["layers.0-7:0.3", "mlp:1"], ["layers.0-9:1e-05-0.1-.5"]])
def test_a_rule_is_the_same_after_json(parts):
    rule = AlphaRule.parse(0.7, parts)
    assert AlphaRule.from_json(rule.to_json()) == rule
    assert AlphaRule.parse(0.7).to_json() == 0.7


def test_beyond_0_and_1_only_with_extrapolation():
    rule = AlphaRule.parse(1.25, ["layers.0-4:-0.5--1", "mlp:-0.25"], extrapolate=True)
    assert [rule.alpha_of(f"layers.{layer}.x") for layer in range(6)] == [-0.5, -0.625, -0.75, -0.875, -1, 1.25]
    assert AlphaRule.from_json(rule.to_json(), extrapolate=True) == rule
    for alpha, parts in ((1.25, []), (-0.1, []), (float("nan"), []), (0.5, ["mlp:1.1"]), (0.5, ["layers.0-3:0--1"])):
        with pytest.raises(UserError, match=r"alpha lies in \[0, 1\]|an alpha is a number, not nan"):
            AlphaRule.parse(alpha, parts)


def test_rules_never_share_a_folder():
    parts = [(), ["mlp:0.9"], ["mlp:0.90000000000000002"], ["mlp:0.9000000001"], ["*mlp*:0.9"], ["layers.0-7:0.3"]]
    parts += [["mlp:0.9", "head:1"], ["head:1", "mlp:0.9"], [f"layers.{n}:0.{n}" for n in range(40)], ["layers.0:0.1"]]
    parts += [[f"layers.{n}:0.{n}" for n in range(41)]]
    names = {}
    for each in parts:
        rule = AlphaRule.parse(0.7, each)
        assert names.setdefault(rule.folder_name, rule) == rule
    assert len(names) == len(parts) - 1  # two texts of one number
    assert AlphaRule.parse(0.7).folder_name == "alpha_0.7"
    assert AlphaRule.parse(0.7, ["layers.0-7:0.3", "mlp:0.9"]).folder_name == "alpha_0.7+layers.0-7=0.3+mlp=0.9"
    assert all(len(name) < 200 and not set(name) & set('*/\\:"<>|? ') for name in names)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("mlp", "'mlp' in ALPHA_OF is not WHERE:ALPHA"),
        ("mlp:high", "'mlp:high' in ALPHA_OF is not WHERE:ALPHA"),
        ("mlp:0.1,0.2", "is not WHERE:ALPHA"),
        (":0.3", "the part '' of ALPHA_OF is not a word"),
        ("a b:0.3", "the part 'a b' of ALPHA_OF is not a word"),
        ("layers..mlp:0.3", "is not a word"),
        ("layers.7-0:0.3", "the layers of layers.7-0 in ALPHA_OF run backwards"),
        ("mlp:0.2-0.8", "mlp:0.2-0.8 is a gradient: it needs a range of layers"),
        ("layers.3:0.2-0.8", "is a gradient: it needs a range of layers"),
    ],
)
def test_a_part_that_cannot_be_read_is_one_sentence(part, sentence):
    with pytest.raises(UserError, match=sentence):
        AlphaRule.parse(0.7, [part])


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (["mpl:0.3"], "mpl:0.3 in ALPHA_OF matches no tensor of the checkpoint, which has attention, embeddings, mlp"),
        (["head:0.3"], "head:0.3 in ALPHA_OF matches no tensor of the checkpoint: its head is its embedding"),
        (["layers.0-2:0.3"], "layers.0-2:0.3 in ALPHA_OF: the checkpoint has layers 0-1"),
        (["layers.0-1:0.3", "layers.1.mlp:0.4"], "layers.1.mlp:0.4 in ALPHA_OF decides nothing: earlier parts match"),
    ],
)
def test_a_part_that_decides_nothing_is_refused_by_name(parts, sentence):
    names = ["model.embed_tokens.weight"]
    names += [f"model.layers.{n}.{x}.weight" for n in (0, 1) for x in ("mlp.up_proj", "self_attn.q_proj")]
    with pytest.raises(UserError, match=sentence):
        AlphaRule.parse(0.7, parts).require_used(names)
    AlphaRule.parse(0.7, ["layers.0:0.3", "mlp:0.4"]).require_used(names)


@pytest.mark.parametrize("value", ["0.7", True, None, [0.7], {"alpha": 0.7}, {"alpha": "0.7", "parts": []}])
def test_json_that_is_no_rule_is_one_sentence(value):
    with pytest.raises(UserError, match="alpha is a number or"):
        AlphaRule.from_json(value)
