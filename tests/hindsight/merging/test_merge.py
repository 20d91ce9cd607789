"""Whole checkpoints: merged weights, sharding, resuming, digests, the report; checkpoints that cannot be merged."""

import errno
import json
import shutil
import struct
from unittest.mock import Mock

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pico import make, merge_into, pair, save, state
from safetensors import safe_open

from hindsight.errors import UserError
from hindsight.merging import merge, merge_folder, streaming
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.arithmetic import compare, merge_tensors
from hindsight.merging.checkpoints import checkpoint_digest, open_checkpoint
from hindsight.merging.merge import compare_checkpoints
from hindsight.merging.merge_folder import MergeFolder
from hindsight.merging.plan import plan_merge
from hindsight.merging.report import MERGE_FILE, REPORT_FILE, distances_by_layer, layer_and_part

pytestmark = pytest.mark.slow  # together they take seconds

EVERY_KIND = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("method", ["lerp", "slerp"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma"])
def test_a_merged_checkpoint_has_the_merged_weights_and_loads(tmp_path, family, method):
    base, finetuned = pair(tmp_path, family)
    assert len(list(finetuned.glob("*.safetensors"))) > len(list(base.glob("*.safetensors")))
    folders = merge_into(base, finetuned, tmp_path / "out", [0.25, 0.7], method, max_shard_gb=1e-5)
    for alpha, folder in zip((0.25, 0.7), folders, strict=True):
        merged = state(folder)
        assert merged.keys() == state(base).keys()
        for name, tensor in state(base).items():
            assert torch.equal(merged[name], merge_tensors(tensor, state(finetuned)[name], alpha, method))
        loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", output_loading_info=True
        )
        assert not report["missing_keys"] and not report["unexpected_keys"]
        assert torch.equal(loaded.state_dict()["model.norm.weight"], merged["model.norm.weight"])
        files = list(folder.glob("*.safetensors"))
        assert len(files) > 2
        assert all(path.stat().st_size < 15_000 for path in files)


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_alpha_0_and_1_give_the_inputs(tmp_path, method):
    base, finetuned = pair(tmp_path)
    ends = merge_into(base, finetuned, tmp_path / "out", [0.0, 1.0], method)
    for folder, parent in zip(ends, (base, finetuned), strict=True):
        assert all(torch.equal(tensor, state(folder)[name]) for name, tensor in state(parent).items())
        assert checkpoint_digest(open_checkpoint(folder)) == checkpoint_digest(open_checkpoint(parent))


@EVERY_KIND
@given(st.sampled_from(["8KB", "20KB", None]), st.sampled_from(["8KB", "30KB", None]), st.floats(1e-6, 1e-4), st.data())
def test_neither_sharding_nor_threads_nor_chunks_change_a_bit(tmp_path_factory, one, other, output, data):
    folder = tmp_path_factory.mktemp("pair")
    base, finetuned = pair(folder, base_shards=one, finetuned_shards=other)
    method, workers = data.draw(st.sampled_from(["lerp", "slerp"])), data.draw(st.integers(1, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BUFFERS", data.draw(st.integers(2, 5)))
        options = {"max_shard_gb": output, "workers": workers}
        (merged,) = merge_into(base, finetuned, folder / "out", [0.6], method, **options)
    before, after = state(base), state(finetuned)
    for name, tensor in state(merged).items():
        assert torch.equal(tensor, merge_tensors(before[name], after[name], 0.6, method))
    shutil.rmtree(folder)


@pytest.mark.parametrize("method", ["lerp", "slerp"])
@pytest.mark.parametrize("buffers", [2, 16])
def test_tensors_of_many_chunks_are_merged_with_few_and_with_many_buffers(tmp_path, monkeypatch, method, buffers):
    monkeypatch.setattr(streaming, "BUFFERS", buffers)
    generator = torch.Generator().manual_seed(0)
    tensors = [{"w": torch.randn(3 * streaming.CHUNK // 4 + 5, generator=generator).bfloat16()} for _ in range(2)]
    base, finetuned = save(tmp_path / "base", tensors[0]), save(tmp_path / "finetuned", tensors[1])
    (folder,) = merge_into(base, finetuned, tmp_path / "out", [0.7], method)
    assert torch.equal(state(folder)["w"], merge_tensors(tensors[0]["w"], tensors[1]["w"], 0.7, method))


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_each_part_is_merged_at_its_own_alpha(tmp_path, method):
    base, finetuned = pair(tmp_path)
    parts = ["layers.1.mlp:0.9", "layers.0-1.attention:0.2-0.8", "embeddings:0", "up_proj:1"]
    (folder,) = merge_into(base, finetuned, tmp_path / "out", [0.5], method, alpha_of=parts, max_shard_gb=1e-5)
    assert folder.name == "alpha_0.5+layers.1.mlp=0.9+layers.0-1.attention=0.2-0.8+embeddings=0+up_proj=1"
    before, after, merged = state(base), state(finetuned), state(folder)
    alphas = {
        "model.embed_tokens.weight": 0.0,
        "model.layers.0.self_attn.q_proj.weight": 0.2,
        "model.layers.1.self_attn.o_proj.weight": 0.8,
        "model.layers.0.mlp.up_proj.weight": 1.0,
        "model.layers.1.mlp.up_proj.weight": 0.9,
        "model.layers.0.mlp.down_proj.weight": 0.5,
        "model.norm.weight": 0.5,
    }
    for name, alpha in alphas.items():
        assert torch.equal(merged[name], merge_tensors(before[name], after[name], alpha, method))
    made = json.loads((folder / MERGE_FILE).read_text())
    assert made["alpha"] == {"alpha": 0.5, "parts": parts}
    card = (folder / "README.md").read_text()
    assert "merged = (1 - alpha) * base" in card if method == "lerp" else "at alpha of its angle" in card
    assert "- `layers.1.mlp:0.9`\n- `layers.0-1.attention:0.2-0.8`\n" in card
    row = next(
        row for row in json.loads((tmp_path / "out" / REPORT_FILE).read_text())["tensors"] if "up" in row["name"]
    )
    assert row["norms"][f"0.5 ({', '.join(parts)})"] == row["finetuned_norm"]


def test_beyond_alpha_1_the_line_goes_on_and_the_card_says_so(tmp_path):
    tensors = [{"layers.0.w": torch.tensor([1.0, 2.0])}, {"layers.0.w": torch.tensor([3.0, 1.0])}]
    base, finetuned = (save(tmp_path / name, each) for name, each in zip("bf", tensors, strict=True))
    (folder,) = merge_into(base, finetuned, tmp_path / "out", [1.5], extrapolate=True)
    assert state(folder)["layers.0.w"].tolist() == [4.0, 0.5]
    assert "an alpha beyond [0, 1] extrapolates" in (folder / "README.md").read_text()
    for options, sentence in (({}, r"alpha lies in \[0, 1\], not 1.5"), ({"method": "slerp"}, "lies beyond its ends")):
        with pytest.raises(UserError, match=sentence):
            merge_into(base, finetuned, tmp_path / "none", [1.5], **{**options, "extrapolate": bool(options)})


def test_a_part_that_decides_nothing_is_refused_before_anything_is_written(tmp_path):
    base, finetuned = pair(tmp_path)
    with pytest.raises(UserError, match=r"layers.0-7:0.3 in ALPHA_OF: the checkpoint has layers 0-1"):
        merge_into(base, finetuned, tmp_path / "out", [0.5], alpha_of=["layers.0-7:0.3"])
    assert not (tmp_path / "out").exists()


def test_empty_scalar_constant_and_equal_tensors_are_merged(tmp_path):
    tensors = {"none": torch.empty(0, 3), "one": torch.tensor(2.0), "zeros": torch.zeros(5), "same": torch.ones(7)}
    tensors |= {"wide": torch.tensor([1.0, 3.0], dtype=torch.float64), "odd": torch.ones(3, dtype=torch.bfloat16)}
    folders = [save(tmp_path / name, tensors) for name in ("base", "finetuned")]
    for method in ("lerp", "slerp"):
        (folder,) = merge_into(*folders, tmp_path / method, [0.3], method)
        merged = state(folder)
        assert all(torch.equal(merged[name], tensor) for name, tensor in tensors.items())
        with safe_open(folder / "model.safetensors", "pt") as file:
            assert file.metadata() == {"format": "pt"}


def test_the_digest_of_a_checkpoint_depends_only_on_its_weights(tmp_path):
    one, other = make(tmp_path / "one"), make(tmp_path / "other", shard_size="10KB")
    assert checkpoint_digest(open_checkpoint(one)) == checkpoint_digest(open_checkpoint(other))
    another = make(tmp_path / "another", seed=1)
    (folder,) = merge_into(one, another, tmp_path / "out", [0.5])
    made = json.loads((folder / MERGE_FILE).read_text())
    assert made["base"]["digest"] == checkpoint_digest(open_checkpoint(one))
    assert made["finetuned"]["digest"] == checkpoint_digest(open_checkpoint(another)) != made["base"]["digest"]
    card = (folder / "README.md").read_text()
    assert all(made[key]["digest"] in card for key in ("base", "finetuned"))
    assert "merged = 0.5 * base + 0.5 * finetuned" in card


def test_the_report_lists_distance_cosine_and_norms_of_every_tensor(tmp_path):
    base, finetuned = pair(tmp_path)
    merge_into(base, finetuned, tmp_path / "out", [0.7], "slerp")
    merge_into(base, finetuned, tmp_path / "out", [0.2], "slerp", picture=True)
    report = json.loads((tmp_path / "out" / REPORT_FILE).read_text())
    for row in report["tensors"]:
        one, other = state(base)[row["name"]].double(), state(finetuned)[row["name"]].double()
        assert row["distance"] == pytest.approx((one - other).norm().item(), rel=1e-9)
        cosine = torch.dot(one.flatten(), other.flatten()) / one.norm() / other.norm()
        assert row["cosine"] == pytest.approx(cosine.item(), rel=1e-12)
        for alpha in ("0.2", "0.7"):
            merged = state(tmp_path / "out" / f"alpha_{alpha}")[row["name"]]
            assert row["norms"][alpha] == pytest.approx(merged.double().norm().item(), rel=3e-3)
    whole = [torch.cat([state(folder)[row["name"]].double().flatten() for row in report["tensors"]])
             for folder in (base, finetuned)]  # fmt: skip
    assert report["relative_distance"] == pytest.approx(((whole[1] - whole[0]).norm() / whole[0].norm()).item())
    assert (tmp_path / "out" / "merge_report.png").stat().st_size > 10_000


def test_the_report_counts_tensors_for_which_slerp_took_the_line(tmp_path):
    tensors = {"turned": torch.tensor([1.0, 0.0]), "zero": torch.zeros(3), "scaled": torch.ones(4)}
    base = save(tmp_path / "base", tensors)
    moved = {"turned": torch.tensor([1.0, 1e-3]), "zero": torch.ones(3), "scaled": torch.full((4,), 2.0)}
    merge_into(base, save(tmp_path / "finetuned", moved), tmp_path / "out", [0.5], "slerp")
    report = json.loads((tmp_path / "out" / REPORT_FILE).read_text())
    assert report["slerp_took_the_line"] == {"tensors": 2, "parameters": 7}
    assert "2 tensors (7 parameters) have no arc" in (tmp_path / "out" / "alpha_0.5" / "README.md").read_text()


def test_distances_are_combined_by_layer_and_part():
    assert layer_and_part("model.layers.12.self_attn.q_proj.weight") == (12, "self_attn")
    assert layer_and_part("model.embed_tokens.weight") == (None, "embed_tokens")
    mlp = torch.tensor([3.0, 4.0])
    rows = {"model.layers.1.mlp.a": compare(mlp, mlp * 1.5), "model.layers.1.mlp.b": compare(mlp, mlp)}
    assert distances_by_layer(rows) == {"mlp": {1: pytest.approx(0.5 / 2**0.5)}}


def test_comparing_two_checkpoints_writes_nothing(tmp_path):
    base, finetuned = pair(tmp_path)
    rows = compare_checkpoints(base, finetuned)
    assert {row.name: row.comparison for row in rows} == {
        name: compare(tensor, state(finetuned)[name]) for name, tensor in state(base).items()
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "finetuned"]


def test_a_run_that_was_stopped_resumes_with_the_missing_shards(tmp_path, monkeypatch):
    base, finetuned = pair(tmp_path)
    clean = merge_into(base, finetuned, tmp_path / "clean", [0.3, 0.7], max_shard_gb=1e-5)
    files = len(list(clean[0].glob("*.safetensors")))
    real, made = merge._merge_shard, []

    def stops_at_the_third(merger, shard, folders):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(shard.file)
        real(merger, shard, folders)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(merge, "_merge_shard", stops_at_the_third)
        merge_into(base, finetuned, tmp_path / "out", [0.3, 0.7], max_shard_gb=1e-5)
    assert not list((tmp_path / "out").glob("alpha*"))
    later = []
    with monkeypatch.context() as patch:
        patch.setattr(merge, "_merge_shard", lambda *all: later.append(all[1].file) or real(*all))
        merge_into(base, finetuned, tmp_path / "out", [0.3, 0.7], max_shard_gb=1e-5)
    assert (len(made) + len(later), set(made) & set(later)) == (files, set())
    for folder in clean:
        same = tmp_path / "out" / folder.name
        assert contents(folder) == contents(same)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["alpha_0.3", "alpha_0.7", REPORT_FILE, "merge_report.png"]
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_unfinished_merge_of_other_settings_is_refused(tmp_path, monkeypatch):
    base, finetuned = pair(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MergeFolder, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        merge_into(base, finetuned, tmp_path / "out", [0.5])
    with pytest.raises(UserError, match="holds an unfinished merge with other weights or settings; delete it"):
        merge_into(base, finetuned, tmp_path / "out", [0.5], "slerp")
    with pytest.raises(UserError, match="holds an unfinished merge"):  # other shards
        merge_into(base, finetuned, tmp_path / "out", [0.5], max_shard_gb=4.0)
    merge_into(base, finetuned, tmp_path / "out", [0.5])


def test_files_of_a_run_killed_before_its_settings_were_written_are_deleted(tmp_path):
    base, finetuned = pair(tmp_path)
    partial = tmp_path / "out" / ".alpha_0.5.partial"
    partial.mkdir(parents=True)
    (partial / "model-00001-of-00009.safetensors").write_bytes(b"of another layout")
    (folder,) = merge_into(base, finetuned, tmp_path / "out", [0.5])
    assert [path.name for path in folder.glob("*.safetensors")] == ["model.safetensors"]


def test_a_base_of_zeros_has_a_card_and_a_report(tmp_path):
    base = save(tmp_path / "base", {"w": torch.zeros(4)})
    merge_into(base, save(tmp_path / "finetuned", {"w": torch.ones(4)}), tmp_path / "out", [0.5], "slerp")
    assert json.loads((tmp_path / "out" / REPORT_FILE).read_text())["relative_distance"] is None
    assert "is inf of the base's norm" in (tmp_path / "out" / "alpha_0.5" / "README.md").read_text()


def test_an_existing_merge_is_recognised_by_its_weights(tmp_path):
    base, finetuned = pair(tmp_path)
    (folder,) = merge_into(base, finetuned, tmp_path / "out", [0.5])
    before = (folder / MERGE_FILE).stat().st_mtime_ns
    said = []
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").touch()
    merge_into(tmp_path / "copy", finetuned, tmp_path / "out", [0.5], say=said.append)
    assert (said[-1], (folder / MERGE_FILE).stat().st_mtime_ns) == (f"{folder} already exists", before)
    other = make(tmp_path / "other", seed=5)
    with pytest.raises(UserError, match="base was .*base with other weights than .*other"):
        merge_into(other, finetuned, tmp_path / "out", [0.5])
    with pytest.raises(UserError, match="method is 'lerp', not 'slerp'"):
        merge_into(base, finetuned, tmp_path / "out", [0.5], "slerp")


def test_a_merge_that_another_process_makes_is_refused(tmp_path):
    base, finetuned = pair(tmp_path)
    folder = tmp_path / "out" / "alpha_0.5"
    folder = MergeFolder(folder, plan_merge(base, finetuned), AlphaRule(0.5), {})
    with folder.locked(), pytest.raises(UserError, match="another process is making"):
        merge_into(base, finetuned, tmp_path / "out", [0.5])


def test_a_merge_on_a_disk_without_locks_is_refused_in_one_sentence(tmp_path, monkeypatch):
    base, finetuned = pair(tmp_path)
    monkeypatch.setattr(merge_folder.fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    with pytest.raises(UserError, match=r"\.lock cannot be locked \(No locks available\): give an output folder on"):
        merge_into(base, finetuned, tmp_path / "out", [0.5])


def test_a_disk_that_is_too_small_is_reported_before_anything_is_written(tmp_path, monkeypatch):
    base, finetuned = pair(tmp_path)
    monkeypatch.setattr(merge.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match="0 MB free, the merge needs 0 MB"):
        merge_into(base, finetuned, tmp_path / "out", [0.5])
    assert not list(tmp_path.glob("out/**/*.safetensors"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alphas": []}, "give at least one alpha by --alphas"),
        ({"alphas": [0.1, 0.1 + 1e-15]}, "ALPHAS are too close to be told apart"),
        ({"method": "mean"}, "METHOD is lerp or slerp, not 'mean'"),
        ({"config_from": "both"}, "CONFIG_FROM is base or finetuned, not 'both'"),
        ({"max_shard_gb": 0}, "MAX_SHARD_GB is above 0, not 0"),
        ({"workers": -1}, "WORKERS is at least 1, or 0 for one fewer than cores, not -1"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path, options, sentence):
    base, finetuned = pair(tmp_path)
    with pytest.raises(UserError, match=sentence):
        merge_into(base, finetuned, tmp_path / "out", **{"alphas": [0.5], **options})


def broken(folder, edit):
    path = folder / "model.safetensors"
    path.write_bytes(edit(path.read_bytes()))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda content: content[:-3], "is cut off: it has"),
        (lambda content: content[:5], "is not a safetensors file"),
        (lambda content: b"<html>not found</html>", "is not a safetensors file"),
        (
            lambda content: b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
            "pointer of Git LFS .*: run git lfs pull",
        ),
        (lambda content: struct.pack("<Q", 3) + b"[1]", "is not a safetensors file"),
        (lambda content: b"", "is not a safetensors file"),
        (lambda content: struct.pack("<Q", 10**5) + b"[" * 10**5, "is not a safetensors file"),
        (lambda content: content.replace(b'"data_offsets":[0,', b'"data_offsets":[   '), "is not a safetensors file"),
    ],
)
def test_a_file_that_is_cut_off_or_malformed_is_refused(tmp_path, edit, sentence):
    base, finetuned = pair(tmp_path)
    broken(base, edit)
    with pytest.raises(UserError, match=sentence):
        merge_into(base, finetuned, tmp_path / "out", [0.5])


def test_a_missing_shard_is_named(tmp_path):
    base, finetuned = pair(tmp_path)
    gone = sorted(finetuned.glob("*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(
        UserError, match=f"{gone.name} is named in model.safetensors.index.json, but the file is missing"
    ):
        merge_into(base, finetuned, tmp_path / "out", [0.5])


def test_folders_without_safetensors_are_refused_with_advice(tmp_path):
    base, finetuned = pair(tmp_path)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="adapter_config.json of .*adapter has no peft_type"):
        merge_into(base, tmp_path / "adapter", tmp_path / "out", [0.5])
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"as pickles only \(pytorch_model.bin\).*save_pretrained"):
        merge_into(base, finetuned, tmp_path / "out", [0.5])
    (base / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match="has no weights: neither"):
        merge_into(base, finetuned, tmp_path / "out", [0.5])
