"""Merging while vLLM loads: the answers equal those of the merged checkpoint on disk, from real engines."""

import gc
import json
import multiprocessing
import os
import re
from types import SimpleNamespace

import pytest
import torch
from adapters import make_adapter
from pico import make, merge_into, save
from safetensors.torch import load_file
from scripts import ROOT, run_in_process

from hindsight import serving
from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.plan import plan_merge, require_loadable

pytestmark = pytest.mark.slow  # importing vLLM takes seconds

BASE, INSTRUCT = ROOT / "lab" / "models" / "base", ROOT / "lab" / "models" / "instruct"
PROMPTS = ["def f(x):", "Read a list of numbers and print", "The sum of"]


def answers(engines):
    """Digests of the weights, tokens and log-probabilities of greedy answers, by one engine after another.

    engines: each with the alphas that are set in it, one after the other; None: as it was loaded. They run in a fork of
    this process, so that vLLM is imported once.
    """
    import vllm.entrypoints.llm  # noqa: F401

    context = multiprocessing.get_context("fork")
    results, sender = context.Pipe(duplex=False)
    child = context.Process(target=run_engines, args=(engines, sender))
    child.start()
    sender.close()
    found = results.recv()
    child.join()
    return found


def run_engines(engines, sender):
    """The body of that process: sends what `answers` returns."""
    from vllm import LLM, SamplingParams

    gc.disable()
    gc.collect = lambda *_: 0  # vLLM often calls it, and it would search all that this process has imported
    torch._dynamo.config.disable = True  # compiling how log-probabilities are ranked takes longer than the answers
    own = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
    os.environ.update(own)
    small = {
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_seqs": 8,
        "kv_cache_memory_bytes": 1 << 26,
    }
    results = []
    for options, alphas in engines:
        engine = LLM(**options, **small)
        for alpha in alphas:
            if alpha is not None:
                engine.collective_rpc("hindsight_set_alpha", args=(json.dumps(alpha),))
                engine.reset_prefix_cache()
            outputs = engine.generate(PROMPTS, SamplingParams(temperature=0, max_tokens=48, logprobs=0))
            written = [
                (list(answer.token_ids), [next(iter(each.values())).logprob for each in answer.logprobs])
                for answer in (output.outputs[0] for output in outputs)
            ]
            results.append((engine.collective_rpc("compute_weight_checksums"), written))
        del engine
    sender.send(results)


def at_load(**merge):
    config = {"base": str(BASE), "alpha": 0.7, **merge}
    flags = {"load_format": "hindsight", "worker_extension_cls": "hindsight.merging.dial.WorkerDial"}
    return {"model": str(INSTRUCT), "model_loader_extra_config": config, **flags}


@pytest.mark.server
def test_a_live_merge_has_the_weights_and_answers_of_the_merged_checkpoint_after_a_path_of_alphas(tmp_path):
    """The engine of the live merge begins at one alpha and gets to that of the checkpoint by way of 0, and back."""
    (folder,) = merge_into(BASE, INSTRUCT, tmp_path, [0.7], "slerp")
    merged, *live = answers([
        ({"model": str(folder)}, [None]), (at_load(alpha=0.4, method="slerp"), [None, 0, 0.7, 0.7, 0.4]),
    ])  # fmt: skip
    begun, at_zero = live[:2]
    assert live == [begun, at_zero, merged, merged, begun]
    assert len({json.dumps(each) for each in (begun, at_zero, merged)}) == 3


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        ("lerp", AlphaRule(0.7)),
        ("slerp", AlphaRule(0.7)),
        ("slerp", AlphaRule.parse(0.7, ["layers.0-3:0.2-0.8", "norms:0"])),
        ("lerp", AlphaRule.parse(1.25, ["mlp:-0.5"], extrapolate=True)),
    ],
    ids=str,
)
def test_a_merge_at_load_has_the_bits_of_the_merged_checkpoint(tmp_path, method, rule):
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging.loader import MergedModelLoader

    parts = [str(part) for part in rule.parts]
    options = {"alpha_of": parts, "extrapolate": rule.extrapolates}
    (folder,) = merge_into(BASE, INSTRUCT, tmp_path, [rule.alpha], method, **options)
    config = {"alpha": rule.to_json(), "method": method, **({"extrapolate": True} if rule.extrapolates else {})}
    extra = at_load(**config)["model_loader_extra_config"]
    loader = MergedModelLoader(LoadConfig(load_format="hindsight", model_loader_extra_config=extra))
    loaded = dict(loader.get_all_weights(SimpleNamespace(model=str(INSTRUCT), revision=None), torch.nn.Module()))
    merged = load_file(folder / "model.safetensors")
    assert loaded.keys() == merged.keys()
    assert all(loaded[name].dtype == tensor.dtype and loaded[name].equal(tensor) for name, tensor in merged.items())


def test_a_part_that_the_model_lacks_is_reported_before_a_server_starts():
    result = run_in_process(serving, "--merge_base", BASE, "--alpha_of", "mpl:0.3")
    assert (result.returncode, "mpl:0.3 in ALPHA_OF matches no tensor" in result.stderr) == (2, True), result.stderr


def test_an_adapter_at_load_has_the_bits_of_the_merged_checkpoint_at_one_alpha_after_another(tmp_path):
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging.loader import MergedModelLoader

    options = {"target_modules": ["q_proj", "up_proj"], "modules_to_save": ["norm"], "use_dora": True}
    adapter = make_adapter(tmp_path / "adapter", BASE, r=4, **options)
    model = SimpleNamespace(model=str(BASE), revision=None)
    for folder, alpha in zip(merge_into(BASE, adapter, tmp_path / "out", [0.4, 1]), [0.4, 1], strict=True):
        extra = {"base": str(BASE), "adapter": str(adapter), "alpha": alpha}
        loader = MergedModelLoader(LoadConfig(load_format="hindsight", model_loader_extra_config=extra))
        for _ in range(2):
            loaded = dict(loader.get_all_weights(model, torch.nn.Module()))
            merged = load_file(folder / "model.safetensors")
            assert loaded.keys() == merged.keys()
            assert all(loaded[name].dtype == each.dtype and loaded[name].equal(each) for name, each in merged.items())
    with pytest.raises(UserError, match="with an adapter, vLLM serves its base: --model is .*instruct, base is .*base"):
        next(loader.get_all_weights(SimpleNamespace(model=str(INSTRUCT), revision=None), torch.nn.Module()))


def test_an_adapter_that_unties_the_head_is_refused_before_a_server_starts(tmp_path):
    base = make(tmp_path / "base", "qwen2")
    adapter = make_adapter(tmp_path / "adapter", base, r=4, target_modules=["embed_tokens"])
    with pytest.raises(UserError, match="adapter gives .*base a separate head: merge with merge_models.py"):
        require_loadable(plan_merge(base, adapter))


def test_parents_kept_in_memory_are_not_read_again_and_give_the_same_bits(tmp_path, monkeypatch):
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging import loader

    def load(parents, alpha):
        extra = at_load(alpha=alpha, parents=parents)["model_loader_extra_config"]
        made = loader.MergedModelLoader(LoadConfig(load_format="hindsight", model_loader_extra_config=extra))
        return dict(made.get_all_weights(SimpleNamespace(model=str(INSTRUCT), revision=None), torch.nn.Module()))

    monkeypatch.setattr(loader, "KEPT", {})
    wanted, free = load("disk", 0.3), loader.psutil.virtual_memory
    monkeypatch.setattr(loader.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    load("memory", 0.9)
    assert loader.KEPT == {}
    monkeypatch.setattr(loader.psutil, "virtual_memory", free)
    load("memory", 0.9)
    monkeypatch.setattr(loader.MergedModelLoader, "_read_parents", None)
    kept = load("memory", 0.3)
    assert kept.keys() == wanted.keys() and all(kept[name].equal(tensor) for name, tensor in wanted.items())


def test_a_worker_says_why_an_alpha_cannot_be_merged_before_its_weights_change():
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging.dial import WorkerDial

    worker = WorkerDial()
    load_config = LoadConfig(load_format="hindsight", model_loader_extra_config={"base": str(BASE), "alpha": 0.7})
    model_config = SimpleNamespace(model=str(INSTRUCT), revision=None)
    worker.vllm_config = SimpleNamespace(load_config=load_config, model_config=model_config)
    for parts, sentence in ((["mlp:0.9"], ""), (["mpl:0.9"], "mpl:0.9 in ALPHA_OF matches no tensor")):
        assert worker.hindsight_reason_against(json.dumps({"alpha": 0.4, "parts": parts})).startswith(sentence)
    assert worker.hindsight_reason_against(json.dumps({"alpha": 0.4, "parts": ["mlp:0.9"]})) == ""
    assert worker.hindsight_merge()["alpha"] == 0.7


def test_models_that_cannot_be_merged_are_reported_before_a_server_starts(tmp_path):
    other = save(tmp_path / "other", {"w": torch.ones(2)})
    result = run_in_process(serving, "--model", INSTRUCT, "--merge_base", other)
    assert result.returncode == 2
    assert re.search(r"other lacks \d+ tensors of .*instruct, the first is model\.embed", result.stderr)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"alpha": 0.7}, "needs base and alpha"),
        ({"base": "b"}, "needs base and alpha"),
        ({"base": "b", "alpha": 1.5}, r"alpha lies in \[0, 1\], not 1.5"),
        ({"base": "b", "alpha": "0.7"}, "alpha is a number or .*, not '0.7'"),
        ({"base": "b", "alpha": {"alpha": 0.7, "parts": ["mlp"]}}, "'mlp' in ALPHA_OF is not WHERE:ALPHA"),
        ({"base": "b", "alpha": 1.5, "extrapolate": True, "method": "slerp"}, "SLERP is the arc between the two"),
        ({"base": "b", "alpha": 0.7, "method": "mean"}, "method is lerp or slerp, not 'mean'"),
        ({"base": "b", "alpha": 0.7, "parents": "gpu"}, "parents is disk or memory, not 'gpu'"),
    ],
)
def test_a_wrong_loader_config_is_one_sentence(config, sentence):
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging.loader import MergedModelLoader

    with pytest.raises(UserError, match=sentence):
        MergedModelLoader(LoadConfig(load_format="hindsight", model_loader_extra_config=config))
