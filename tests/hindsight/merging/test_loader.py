"""Merging while vLLM loads: the answers equal those of the merged checkpoint on disk, from real engines."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from pico import merge_into, save
from safetensors.torch import load_file
from scripts import ROOT, run_script

from hindsight.errors import UserError

BASE, INSTRUCT = ROOT / "lab" / "models" / "base", ROOT / "lab" / "models" / "instruct"
PROMPTS = ["def f(x):", "Read a list of numbers and print", "The sum of"]

ANSWER = """
import json, sys
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    answers = []
    for options in json.loads(sys.argv[1]):
        engine = LLM(**options, enforce_eager=True, enable_chunked_prefill=False, max_num_seqs=8)
        outputs = engine.generate(json.loads(sys.argv[2]), SamplingParams(temperature=0, max_tokens=48, logprobs=0))
        answers.append([
            [list(answer.token_ids), [next(iter(each.values())).logprob for each in answer.logprobs]]
            for answer in (output.outputs[0] for output in outputs)
        ])
        del engine
    print(json.dumps(answers))
"""


def answers(engines):
    """Tokens and log-probabilities of greedy answers, by one engine after another."""
    command = [sys.executable, "-c", ANSWER, json.dumps(engines), json.dumps(PROMPTS)]
    own = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    result = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


def at_load(**merge):
    config = {"base": str(BASE), "alpha": 0.7, **merge}
    return {"model": str(INSTRUCT), "load_format": "hindsight", "model_loader_extra_config": config}


@pytest.mark.server
def test_a_merge_at_load_answers_as_the_merged_checkpoint_does(tmp_path):
    (folder,) = merge_into(BASE, INSTRUCT, tmp_path, [0.7], "slerp")
    merged, merged_at_load = answers([{"model": str(folder)}, at_load(method="slerp")])
    assert merged == merged_at_load


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_a_merge_at_load_has_the_bits_of_the_merged_checkpoint(tmp_path, method):
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging.loader import MergedModelLoader

    (folder,) = merge_into(BASE, INSTRUCT, tmp_path, [0.7], method)
    extra = at_load(method=method)["model_loader_extra_config"]
    loader = MergedModelLoader(LoadConfig(load_format="hindsight", model_loader_extra_config=extra))
    loaded = dict(loader.get_all_weights(SimpleNamespace(model=str(INSTRUCT), revision=None), torch.nn.Module()))
    merged = load_file(folder / "model.safetensors")
    assert loaded.keys() == merged.keys()
    assert all(loaded[name].dtype == tensor.dtype and loaded[name].equal(tensor) for name, tensor in merged.items())


def test_models_that_cannot_be_merged_are_reported_before_a_server_starts(tmp_path):
    other = save(tmp_path / "other", {"w": torch.ones(2)})
    result = run_script("hindsight/serving.py", "--model", INSTRUCT, "--merge_base", other, PYTHONPATH=str(ROOT))
    assert result.returncode == 2
    assert re.search(r"other lacks \d+ tensors of .*instruct, the first is model\.embed", result.stderr)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"alpha": 0.7}, "needs base and alpha"),
        ({"base": "b"}, "needs base and alpha"),
        ({"base": "b", "alpha": 1.5}, r"alpha lies in \[0, 1\], not 1.5"),
        ({"base": "b", "alpha": "0.7"}, r"alpha lies in \[0, 1\], not '0.7'"),
        ({"base": "b", "alpha": 0.7, "method": "mean"}, "method is lerp or slerp, not 'mean'"),
    ],
)
def test_a_wrong_loader_config_is_one_sentence(config, sentence):
    from vllm.config.load import LoadConfig  # here, as vLLM takes long to import

    from hindsight.merging.loader import MergedModelLoader

    with pytest.raises(UserError, match=sentence):
        MergedModelLoader(LoadConfig(load_format="hindsight", model_loader_extra_config=config))
