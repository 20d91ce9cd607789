"""Checkpoints as other programs leave them: two sets of weights, pickles, copies of a tied head, old buffers."""

import json
import shutil

import pytest
import torch
import transformers
from odd_checkpoints import EMBEDDING, HEAD, advice, edit_config, equal, follow, loaded, read, store
from pico import SIZES, make, merge_into, pair, save, state

from hindsight.errors import UserError
from hindsight.merging.checkpoints import INDEX, SINGLE, open_checkpoint
from hindsight.merging.plan import plan_merge, require_loadable

# Two sets of weights


def saved_twice(folder):
    """A folder into which transformers saved several shards and then a single file: the index stays."""
    make(folder, seed=0, shard_size="20KB")
    old = {path.name: path.read_bytes() for path in folder.glob("model-*")}
    make(folder, seed=1)
    assert (folder / INDEX).exists() and (folder / SINGLE).exists() and len(old) > 1
    return folder, old


def test_beside_an_index_of_files_that_are_gone_the_single_file_is_read_as_transformers_does(tmp_path):
    folder, _ = saved_twice(tmp_path / "saved")
    assert equal(read(folder), loaded(folder))
    said = []
    (merged,) = merge_into(folder, make(tmp_path / "other", seed=2), tmp_path / "out", [0.0], say=said.append)
    assert equal(state(merged), loaded(folder))
    assert f"{folder / INDEX} lists files that do not exist: {SINGLE} was read" in said[0]
    assert not (merged / INDEX).exists()


def test_vllm_which_would_look_for_the_files_of_an_old_index_is_not_started(tmp_path):
    folder, _ = saved_twice(tmp_path / "saved")
    other = make(tmp_path / "other")
    require_loadable(plan_merge(folder, other))
    with pytest.raises(
        UserError, match=f"{folder / INDEX} lists files that do not exist, and vLLM would .*: delete it"
    ):
        require_loadable(plan_merge(other, folder))


def test_two_whole_sets_of_weights_are_refused(tmp_path):
    folder, old = saved_twice(tmp_path / "saved")
    for name, content in old.items():
        (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"saved has two sets of weights: {SINGLE}, .*transformers.*{INDEX}.*vLLM"):
        open_checkpoint(folder)


def test_an_index_of_the_single_file_is_no_second_set(tmp_path):
    folder = make(tmp_path / "model")
    weight_map = dict.fromkeys(state(folder), SINGLE)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert equal(read(folder), loaded(folder))
    assert not open_checkpoint(folder).old_index


@pytest.mark.parametrize("file", [5, "."])
def test_an_index_that_names_something_else_than_files_is_refused(tmp_path, file):
    folder = make(tmp_path / "model")
    (folder / SINGLE).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": file}}))
    with pytest.raises(UserError, match=f"{INDEX} names {file!r} where a file was expected"):
        open_checkpoint(folder)


def test_a_config_whose_text_model_is_no_object_is_refused(tmp_path):
    folder = edit_config(make(tmp_path / "model"), text_config=5)
    with pytest.raises(UserError, match=r"config.json: text_config is 5, expected an object"):
        open_checkpoint(folder)


def test_weights_under_another_name_in_the_config_are_refused(tmp_path):
    folder = edit_config(make(tmp_path / "model"), transformers_weights="other.safetensors")
    with pytest.raises(UserError, match=f"names its own file of weights, other.safetensors; rename .* to {SINGLE}"):
        open_checkpoint(folder)


# Pickles


def pickled(folder, seed=0):
    """A checkpoint as Vicuna's: pickles, and a temperature that today's transformers does not save."""
    make(folder, seed=seed)
    torch.save(state(folder), folder / "pytorch_model.bin")
    (folder / SINGLE).unlink()
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.9, "top_p": 0.6}))
    return folder


def test_pickles_are_refused_with_a_command_that_converts_them(tmp_path, monkeypatch):
    finetuned, base = pickled(tmp_path / "vicuna"), make(tmp_path / "base", seed=1)
    with pytest.raises(UserError, match=r"vicuna has its weights as pickles only \(pytorch_model.bin\); convert"):
        plan_merge(base, finetuned)
    rewritten = follow(advice(base, finetuned), tmp_path, monkeypatch)
    assert rewritten.name == "vicuna_rewritten"
    assert equal(read(rewritten), torch.load(finetuned / "pytorch_model.bin"))
    (merged,) = merge_into(base, rewritten, tmp_path / "out", [0.5])
    loaded(merged)


def test_the_command_works_in_a_shell_and_keeps_the_tokenizer(tmp_path, monkeypatch):
    folder = pickled(tmp_path / "it's a model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"lab/models/base/{name}", folder)
    rewritten = follow(advice(folder, folder), tmp_path, monkeypatch)
    assert rewritten.name == "it's a model_rewritten"
    assert equal(read(rewritten), torch.load(folder / "pytorch_model.bin"))
    assert (rewritten / "tokenizer.json").exists()


@pytest.mark.parametrize("cached", [False, True])
def test_a_name_on_the_hub_with_pickles_only_is_refused_with_the_same_command(tmp_path, monkeypatch, cached):
    (tmp_path / "config.json").write_text("{}")
    files = ["config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    if cached:  # the Hub cannot be asked, but transformers has downloaded the pickles earlier
        (tmp_path / "pytorch_model-00001-of-00002.bin").touch()
        files = None
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: tmp_path)
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda *_, **__: [*files])
    with pytest.raises(UserError) as refused:
        open_checkpoint("lmsys/vicuna-7b-v1.5@main")
    sentence = str(refused.value)
    assert "lmsys/vicuna-7b-v1.5@main has its weights as pickles only (pytorch_model-00001-of-00002.bin)" in sentence
    assert 'from_pretrained("lmsys/vicuna-7b-v1.5", revision="main", dtype="auto")' in sentence
    assert 'save_pretrained("vicuna-7b-v1.5_rewritten")' in sentence


def test_pickles_that_transformers_cannot_read_get_no_command(tmp_path):
    (tmp_path / "training_args.bin").touch()
    with pytest.raises(UserError, match="has no weights: neither"):
        open_checkpoint(tmp_path)
    (tmp_path / "consolidated.00.pth").touch()
    with pytest.raises(UserError, match=r"pickles only \(consolidated.00.pth\), which transformers does not read"):
        open_checkpoint(tmp_path)


def test_a_name_on_the_hub_without_weights_is_not_called_pickled(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: tmp_path)
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda *_, **__: ["model.gguf"])
    with pytest.raises(
        UserError, match="has no weights: neither .*, but model.gguf, which transformers does not read by"
    ):
        open_checkpoint("some/model")


# Tied heads


def test_a_stored_copy_of_a_head_that_is_tied_by_default_is_tied(tmp_path):
    base, finetuned = pair(tmp_path, "gemma", finetuned_shards=None)
    for folder in (base, finetuned):
        edit_config(folder, drop=["tie_word_embeddings"])
    tensors = state(finetuned)
    store(finetuned, {**tensors, HEAD: tensors[EMBEDDING].clone()})
    said = []
    (merged,) = merge_into(base, finetuned, tmp_path / "out", [1.0], say=said.append)
    assert equal(state(merged), tensors)
    assert "tie_word_embeddings" not in json.loads((merged / "config.json").read_text())
    assert torch.equal(loaded(merged)[HEAD], tensors[EMBEDDING])
    assert "finetuned stores lm_head.weight, which its config ties: left out" in "".join(said)


@pytest.mark.parametrize("config_from", ["base", "finetuned"])
def test_a_stored_copy_of_a_tied_head_is_merged_with_a_head_of_its_own(tmp_path, config_from):
    tied, own = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 8.0]])
    base = save(tmp_path / "base", {EMBEDDING: tied, HEAD: tied.clone()}, tie_word_embeddings=True)
    finetuned = save(tmp_path / "finetuned", {EMBEDDING: tied + 2, HEAD: own}, tie_word_embeddings=False)
    with pytest.raises(UserError, match="finetuned has a separate head, .*base ties it: merge with merge_models.py"):
        require_loadable(plan_merge(finetuned, base))
    (merged,) = merge_into(base, finetuned, tmp_path / "out", [0.5], config_from=config_from)
    assert equal(state(merged), {EMBEDDING: torch.tensor([[2.0, 3.0]]), HEAD: torch.tensor([[3.0, 5.0]])})
    assert json.loads((merged / "config.json").read_text())["tie_word_embeddings"] is False


def test_copies_of_a_tied_head_in_both_models_stay_copies(tmp_path):
    folders = []
    for name, begin in (("base", 1.0), ("finetuned", 3.0)):
        tied = torch.tensor([[begin, 2.0]])
        folders.append(save(tmp_path / name, {EMBEDDING: tied, HEAD: tied.clone()}, tie_word_embeddings=True))
    (merged,) = merge_into(*folders, tmp_path / "out", [0.5])
    assert equal(state(merged), dict.fromkeys((EMBEDDING, HEAD), torch.tensor([[2.0, 2.0]])))


@pytest.mark.parametrize("stored", ["base", "finetuned"])
@pytest.mark.parametrize("config", [{"tie_word_embeddings": True}, {"model_type": "gemma"}])
def test_a_tied_head_that_differs_from_the_embedding_is_refused(tmp_path, config, stored):
    folders = {}
    for name in ("base", "finetuned"):
        head = {HEAD: torch.full((1, 2), 7.0)} if name == stored else {}
        folders[name] = save(tmp_path / name, {EMBEDDING: torch.ones(1, 2), **head}, **config)
    with pytest.raises(UserError, match=rf"{stored} ties its head.*transformers uses and vLLM ignores; set tie_word"):
        plan_merge(folders["base"], folders["finetuned"])


def test_a_missing_head_is_not_tied_if_the_type_does_not_tie_by_default(tmp_path):
    base = save(tmp_path / "base", {EMBEDDING: torch.ones(1, 2)}, architectures=["LlamaForCausalLM"])
    finetuned = save(tmp_path / "finetuned", {EMBEDDING: torch.ones(1, 2), HEAD: torch.ones(1, 2)})
    with pytest.raises(UserError, match=r"base lacks 1 tensors .*; the config of .*base does not tie its head"):
        plan_merge(base, finetuned)


# Old buffers


def test_old_buffers_of_pythia_are_left_out(tmp_path):
    sizes = {**SIZES, "max_position_embeddings": 8, "torch_dtype": "float16"}
    folders = []
    for name, seed in (("base", 0), ("finetuned", 1)):
        torch.manual_seed(seed)
        transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**sizes)).half().save_pretrained(tmp_path / name)
        folders.append(tmp_path / name)
    weights = state(folders[0])
    old = {}
    for layer in range(2):
        attention = f"gpt_neox.layers.{layer}.attention"
        old[f"{attention}.bias"] = torch.ones(8, 8).tril().bool()[None, None]
        old[f"{attention}.masked_bias"] = torch.tensor(-1e9).half()  # minus infinity
        old[f"{attention}.rotary_emb.inv_freq"] = torch.ones(4)
    old["gpt_neox.position_ids"] = torch.arange(8)[None]
    store(folders[0], {**weights, **old})
    said = []
    (merged,) = merge_into(*folders, tmp_path / "out", [0.0], say=said.append)
    assert equal(state(merged), weights)
    loaded(merged)
    kinds = "attention.bias, attention.masked_bias, gpt_neox.position_ids, rotary_emb.inv_freq"
    assert f"7 tensors that every library computes itself are left out: {kinds}" in "".join(said)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 8, 8)])
def test_a_causal_mask_is_left_out_in_every_shape(tmp_path, shape):
    weight = {"h.0.attn.c_attn.weight": torch.ones(2)}
    old = save(tmp_path / "old", {**weight, "h.0.attn.bias": torch.ones(8, 8).tril().bool().view(shape)})
    assert len(plan_merge(old, save(tmp_path / "new", weight)).pairs) == 1


def test_a_bias_of_attention_that_is_learned_is_merged(tmp_path):
    name = "h.0.attn.bias"
    base, finetuned = (save(tmp_path / str(value), {name: torch.full((3,), value)}) for value in (1.0, 3.0))
    (merged,) = merge_into(base, finetuned, tmp_path / "out", [0.5])
    assert state(merged)[name].tolist() == [2.0, 2.0, 2.0]
