"""Planning a merge: common differences between two checkpoints, and those that are refused with the tensor named."""

import json

import pytest
import torch
from pico import merge_into, save, state

from hindsight.errors import UserError
from hindsight.merging.plan import plan_merge
from hindsight.merging.safetensors_files import CHUNK

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def numbers(rows, columns=2, begin=0.0, dtype=torch.float32):
    return (begin + torch.arange(rows * columns).reshape(rows, columns)).to(dtype)


def tokenizer(folder, tokens, added=()):
    vocab = {token: index for index, token in enumerate(tokens)}
    extra = [{"id": len(tokens) + index, "content": token} for index, token in enumerate(added)]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}, "added_tokens": extra}))


def merged(tmp_path, base, finetuned, alpha=0.5, **options):
    notes = []
    (folder,) = merge_into(base, finetuned, tmp_path / "out", [alpha], say=notes.append, **options)
    return state(folder), json.loads((folder / "config.json").read_text()), "\n".join(notes)


@pytest.mark.parametrize("config_from", ["base", "finetuned"])
@pytest.mark.parametrize("lengths", [(3, 5), (5, 3)])
def test_of_a_longer_vocabulary_only_the_shared_rows_are_merged(tmp_path, lengths, config_from):
    one, other = numbers(lengths[0]), numbers(lengths[1], begin=10.0)
    base = save(tmp_path / "base", {EMBEDDING: one}, vocab_size=lengths[0])
    finetuned = save(tmp_path / "finetuned", {EMBEDDING: other}, vocab_size=lengths[1])
    tensors, config, said = merged(tmp_path, base, finetuned, config_from=config_from)
    own = one if config_from == "base" else other
    assert torch.equal(tensors[EMBEDDING][:3], (one[:3] + other[:3]) / 2)
    assert torch.equal(tensors[EMBEDDING][3:], own[3:])
    assert config["vocab_size"] == len(own) == len(tensors[EMBEDDING])
    assert f"{EMBEDDING} has {lengths[0]} and {lengths[1]} rows: 3 are merged" in said


@pytest.mark.parametrize("config_from", ["base", "finetuned"])
@pytest.mark.parametrize("tied", ["base", "finetuned"])
def test_a_tied_head_is_merged_with_a_head_of_its_own(tmp_path, tied, config_from):
    contents = {"tied": {EMBEDDING: numbers(3)}, "own": {EMBEDDING: numbers(3, begin=4.0), HEAD: numbers(3, begin=8.0)}}
    folders = {
        name: save(tmp_path / name, contents["tied" if name == tied else "own"], tie_word_embeddings=name == tied)
        for name in ("base", "finetuned")
    }
    tensors, config, said = merged(tmp_path, folders["base"], folders["finetuned"], config_from=config_from)
    assert torch.equal(tensors[EMBEDDING], numbers(3, begin=2.0))
    assert torch.equal(tensors[HEAD], numbers(3, begin=4.0))
    assert config["tie_word_embeddings"] is False
    assert "the merged model has a head of its own" in said


def test_a_stored_head_is_left_out_if_the_config_ties_it(tmp_path):
    base = save(tmp_path / "base", {EMBEDDING: numbers(3)}, tie_word_embeddings=True)
    finetuned = save(tmp_path / "finetuned", {EMBEDDING: numbers(3), HEAD: numbers(3)}, tie_word_embeddings=True)
    tensors, config, said = merged(tmp_path, base, finetuned)
    assert (tensors.keys(), config["tie_word_embeddings"], "left out" in said) == ({EMBEDDING}, True, True)


def test_a_missing_head_counts_as_tied_only_if_the_config_says_it(tmp_path):
    base = save(tmp_path / "base", {EMBEDDING: numbers(3)}, tie_word_embeddings=False)
    finetuned = save(tmp_path / "finetuned", {EMBEDDING: numbers(3), HEAD: numbers(3)}, tie_word_embeddings=False)
    with pytest.raises(UserError, match=r"lacks 1 tensors of .*, the first is lm_head.weight \[3, 2\]"):
        plan_merge(base, finetuned)


@pytest.mark.parametrize(("config_from", "dtype"), [("base", torch.float32), ("finetuned", torch.bfloat16)])
def test_the_output_has_the_dtype_of_the_model_that_gives_the_config(tmp_path, config_from, dtype):
    base = save(tmp_path / "base", {"w": torch.tensor([1.0, 1.01])})
    finetuned = save(tmp_path / "finetuned", {"w": torch.tensor([1.0, 2.0], dtype=torch.bfloat16)})
    tensors, _, said = merged(tmp_path, base, finetuned, config_from=config_from)
    assert torch.equal(tensors["w"], (0.5 * torch.tensor([1.0, 1.01]) + 0.5 * torch.tensor([1.0, 2.0])).to(dtype))
    assert "1 tensors are float32 and bfloat16" in said


def test_integer_tensors_are_copied_if_equal_and_refused_if_not(tmp_path):
    base = save(tmp_path / "base", {"w": numbers(2), "positions": torch.arange(3)})
    same = save(tmp_path / "same", {"w": numbers(2), "positions": torch.arange(3)})
    tensors, _, _ = merged(tmp_path, base, same)
    assert tensors["positions"].tolist() == [0, 1, 2]
    other = save(tmp_path / "other", {"w": numbers(2), "positions": torch.arange(3) + 1})
    with pytest.raises(UserError, match="positions differs, and tensors of torch.int64 cannot be averaged"):
        merge_into(base, other, tmp_path / "more", [0.5])
    assert not list((tmp_path / "more").glob("alpha*"))


@pytest.mark.parametrize("stored", [1, 2])
def test_rotary_frequencies_are_left_out(tmp_path, stored):
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    tensors = {"w": numbers(2), name: torch.ones(2)}
    base = save(tmp_path / "base", tensors)
    finetuned = save(tmp_path / "finetuned", tensors if stored == 2 else {"w": numbers(2)})
    tensors, _, said = merged(tmp_path, base, finetuned)
    assert (tensors.keys(), "rotary_emb.inv_freq" in said) == ({"w"}, True)


def test_different_tokens_are_named(tmp_path):
    base, finetuned = save(tmp_path / "base", {"w": numbers(2)}), save(tmp_path / "finetuned", {"w": numbers(2)})
    tokenizer(base, ["a", "b", "c", "<reserved>"])
    tokenizer(finetuned, ["a", "b", "c", "<think>"], added=["</think>"])
    notes = "\n".join(plan_merge(base, finetuned).notes)
    assert "1 tokens have different names in the two tokenizers: 3 '<reserved>' and '<think>'" in notes
    assert f"1 tokens exist only in {finetuned}: 4 '</think>'" in notes


def test_another_vocabulary_is_refused(tmp_path):
    base, finetuned = save(tmp_path / "base", {"w": numbers(2)}), save(tmp_path / "finetuned", {"w": numbers(2)})
    tokenizer(base, ["a", "b", "c"])
    tokenizer(finetuned, ["c", "a", "b"])
    with pytest.raises(UserError, match="different vocabularies .3 of 3 tokens differ"):
        plan_merge(base, finetuned)


def test_different_settings_are_named(tmp_path):
    base = save(tmp_path / "base", {"w": numbers(2)}, rope_theta=1e4)
    finetuned = save(tmp_path / "finetuned", {"w": numbers(2)}, rope_theta=1e6, transformers_version="5")
    assert plan_merge(base, finetuned).notes[0] == "the configs differ: rope_theta 10000.0 and 1000000.0"


@pytest.mark.parametrize(
    ("tensors", "config", "sentence"),
    [
        ({"w": numbers(3)}, {}, r"w is \[2, 2\] in .*base and \[3, 2\] in .*finetuned: they cannot be merged"),
        ({"w": numbers(2), "x": numbers(1)}, {}, r"base lacks 1 tensors of .*, the first is x \[1, 2\]"),
        ({}, {}, r"finetuned lacks 1 tensors of .*, the first is w \[2, 2\]"),
        ({"w": numbers(2)}, {"model_type": "qwen2"}, "different architectures: model_type llama and qwen2"),
        ({"w": numbers(2)}, {"architectures": ["B"]}, r"different architectures: architectures \['A'\] and \['B'\]"),
        ({"w": numbers(2)}, {"quantization_config": {"quant_method": "gptq"}}, "finetuned is quantised .gptq."),
        ({"w": torch.zeros(2, 2, dtype=torch.int8)}, {}, "w is float32 and int8"),
        ({"w": torch.zeros(2, 2).to(torch.float8_e4m3fn)}, {}, "w is of dtype F8_E4M3: a quantised model"),
    ],
)
def test_checkpoints_that_cannot_be_merged_are_refused_with_the_tensor_named(tmp_path, tensors, config, sentence):
    base = save(tmp_path / "base", {"w": numbers(2)}, architectures=["A"])
    finetuned = save(tmp_path / "finetuned", tensors, **{"architectures": ["A"], **config})
    with pytest.raises(UserError, match=sentence):
        plan_merge(base, finetuned)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["lerp", "slerp"])
@pytest.mark.parametrize("broken", ["base", "finetuned"])
def test_a_nan_or_an_infinity_is_refused(tmp_path, value, method, broken):
    folders = {}
    for name in ("base", "finetuned"):
        own = numbers(40, 50)
        own[7, 7] = value if name == broken else 0
        folders[name] = save(tmp_path / name, {"fine": numbers(40, 50), "w": own})
    with pytest.raises(UserError, match=f"w in .*{broken}/model.safetensors has a NaN or an infinity"):
        merge_into(folders["base"], folders["finetuned"], tmp_path / "out", [0.5], method)
    assert not list((tmp_path / "out").glob("alpha*"))


# Range


def halves(tmp_path, largest, length=3, dtype=torch.bfloat16):
    """A base in bfloat16 with one large number, and a fine-tuned model in float16."""
    own = torch.ones(length)
    own[length // 2] = largest
    base = save(tmp_path / "base", {"fine": torch.ones(2).to(dtype), "w": own.to(dtype)})
    return base, save(tmp_path / "finetuned", {"fine": torch.ones(2).half(), "w": torch.ones(length).half()})


@pytest.mark.parametrize("method", ["lerp", "slerp"])
@pytest.mark.parametrize("length", [3, 3 * CHUNK // 4 + 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_merged_number_beyond_its_dtype_is_refused_with_the_tensor_and_the_value(tmp_path, method, length, sign):
    base, finetuned = halves(tmp_path, sign * 99840.0, length)  # 1e5 in bfloat16
    with pytest.raises(UserError, match=r"w reaches 99840, and float16 ends at 65504, at alpha 0;") as refused:
        merge_into(base, finetuned, tmp_path / "out", [0.0, 0.1] if method == "lerp" else [0.0], method)
    assert str(refused.value).endswith("; --config_from base writes bfloat16")
    assert not list((tmp_path / "out").glob("alpha*"))


def test_the_largest_of_the_numbers_beyond_the_dtype_is_named(tmp_path):
    base, finetuned = halves(tmp_path, 99840.0, CHUNK)
    content = torch.ones(CHUNK)
    content[[10, -10]] = torch.tensor([66048.0, 131072.0])  # in the first chunk and in the last
    save(base, {"fine": torch.ones(2).bfloat16(), "w": content.bfloat16()})
    with pytest.raises(UserError, match=r"w reaches 131072, and float16 ends at 65504, at alpha 0;"):
        merge_into(base, finetuned, tmp_path / "out", [0.0, 0.5])


def test_numbers_that_fit_after_the_merge_or_into_the_other_dtype_are_merged(tmp_path):
    base, finetuned = halves(tmp_path, 99840.0)
    (half,) = merge_into(base, finetuned, tmp_path / "half", [0.5])
    assert state(half)["w"].tolist() == [1.0, 49920.0, 1.0]  # 49920.5, to a multiple of 32
    with pytest.raises(UserError, match="--config_from base"):
        merge_into(base, finetuned, tmp_path / "wide", [0.0])
    (wide,) = merge_into(base, finetuned, tmp_path / "wide", [0.0], config_from="base")  # into the same folder
    assert state(wide)["w"].tolist() == [1.0, 99840.0, 1.0]


def test_no_other_dtype_is_proposed_if_none_is_wide_enough(tmp_path):
    turned = [torch.tensor([60000.0, 60000.0]).half(), torch.tensor([-60000.0, 60000.0]).half()]
    folders = [save(tmp_path / name, {"w": w}) for name, w in zip(("base", "finetuned"), turned, strict=True)]
    with pytest.raises(UserError, match=r"w reaches 84852.8, and float16 ends at 65504, at alpha 0.5$"):
        merge_into(*folders, tmp_path / "out", [0.5], "slerp")  # the middle of the arc is 60,000 * sqrt(2) up


@pytest.mark.parametrize("config_from", ["base", "finetuned"])
def test_a_nan_in_a_row_that_only_one_model_has_is_refused_if_it_would_be_copied(tmp_path, config_from):
    longer = numbers(5)
    longer[4, 1] = float("nan")
    base = save(tmp_path / "base", {EMBEDDING: numbers(3)}, vocab_size=3)
    finetuned = save(tmp_path / "finetuned", {EMBEDDING: longer}, vocab_size=5)
    if config_from == "base":
        tensors, _, _ = merged(tmp_path, base, finetuned, config_from=config_from)
        assert torch.equal(tensors[EMBEDDING], numbers(3))
    else:
        with pytest.raises(UserError, match=f"{EMBEDDING} in .*finetuned/model.safetensors has a NaN or an infinity"):
            merged(tmp_path, base, finetuned, config_from=config_from)
