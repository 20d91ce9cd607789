"""mergekit's YAML files: each tensor gets the alpha that mergekit's reader gives it; the rest is refused."""

import pytest
import torch
import yaml
from pico import pair, save, state
from scripts import run_in_process

import merge_models
from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule, layer_of
from hindsight.merging.arithmetic import merge_tensors
from hindsight.merging.mergekit import read_mergekit

LAYERS = 7
PARTS = ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "input_layernorm")
NAMES = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
NAMES += [f"model.layers.{layer}.{part}.weight" for layer in range(LAYERS) for part in PARTS]

# the README's example of gradients and filters
DOCUMENTED = """
slices:
  - sources:
      - model: B
        layer_range: [0, 7]
      - model: F
        layer_range: [0, 7]
merge_method: slerp
base_model: B
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5 # fallback for rest of tensors
dtype: float32
"""
SLERP = "{merge_method: slerp, base_model: B, models: [{model: B}, {model: F}], parameters: {t: %s}}"
LINEAR = "{merge_method: linear, models: [{model: B, parameters: {weight: %s}}, {model: F, parameters: {weight: %s}}]}"


@pytest.fixture
def read(tmp_path):
    """Reads a file about the models B and F, of 7 layers in float32."""
    for name in ("B", "F"):
        save(tmp_path / name, {name: torch.ones(1) for name in NAMES})
    path = tmp_path / "merge.yml"

    def reader(text, **options):
        path.write_text(text.replace(": B", f": {tmp_path}/B").replace(": F", f": {tmp_path}/F"))
        return read_mergekit(path, **options)

    return reader


def theirs(setting, name):
    """mergekit's value of a setting for a tensor; outside the layers, its place in the layers is 0."""
    from mergekit.config import MergeConfiguration, evaluate_setting  # here, as mergekit takes long to import

    layer = layer_of(name)
    place = 0 if layer is None else layer / (LAYERS - 1)
    setting = MergeConfiguration.model_validate(
        {"merge_method": "slerp", "models": [], "slices": [{"sources": []}], "parameters": {"t": setting}}
    ).parameters["t"]
    return evaluate_setting(name, setting, place, validate=float)


@pytest.mark.parametrize(
    "t",
    [
        "0.3",
        "1e-3",
        "[0.1, 0.9]",
        "[0, 0.5, 0.3, 0.7, 1]",
        "[{filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}, {filter: mlp, value: [1, 0.7, 0.3, 0]}, {value: 0.5}]",
        "[{filter: q_proj, value: 0.1}, {filter: _proj, value: [0.2, 0.8]}, {filter: norm, value: [1, 0]}, {value: 0}]",
        '[{filter: layers.3, value: 0.9}, {filter: "*", value: [0.25, 0.75]}]',
    ],
)
def test_each_tensor_has_the_t_that_mergekit_gives_it(read, t):
    merge = read(SLERP % t)
    assert (merge.method, merge.base[-1], merge.finetuned[-1]) == ("slerp", "B", "F")
    assert {name: merge.rule.alpha_of(name) for name in NAMES} == {
        name: theirs(yaml.safe_load(t), name) for name in NAMES
    }
    merge.rule.require_used(NAMES)


def test_the_example_of_mergekits_readme_is_read(read):
    rule = read(DOCUMENTED).rule
    assert str(rule) == "0.5 (layers.0-6.*self_attn*:0-0.5-0.3-0.7-1, layers.0-6.*mlp*:1-0.5-0.7-0.3-0)"


def test_base_model_is_the_model_of_t_0_wherever_it_stands(read):
    merge = read("{merge_method: slerp, base_model: B, models: [{model: F}, {model: B}], parameters: {t: 0.2}}")
    assert (merge.base[-1], merge.finetuned[-1], merge.rule) == ("B", "F", AlphaRule(0.2))
    linear = LINEAR % (3, 1)
    swapped = read(linear.replace("linear,", "linear, base_model: F,"))
    assert (swapped.base[-1], swapped.rule, read(linear).rule) == ("F", AlphaRule(0.75), AlphaRule(0.25))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1.0", "3.0", {"model.norm.weight": 0.75}),
        ("0.5", "[{filter: mlp, value: 1.5}, {value: 0.5}]", {NAMES[5]: 0.75, "model.norm.weight": 0.5}),
        ("[0, 2]", "[2, 0]", {NAMES[3]: 1.0, NAMES[3 + 4 * 3]: 0.5, NAMES[-1]: 0.0, "lm_head.weight": 1.0}),
        (
            "[{filter: mlp, value: [1, 0]}, {value: 1}]",
            "[{filter: mlp, value: [0, 1]}, {value: 3}]",
            {NAMES[5]: 0.0, NAMES[5 + 4 * 6]: 1.0, NAMES[3]: 0.75},
        ),
    ],
)
def test_weights_of_a_linear_merge_are_normalised(read, one, other, expected):
    merge = read(LINEAR % (one, other))
    assert merge.method == "lerp"
    assert {name: merge.rule.alpha_of(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SLERP.replace("slerp", "ties") % 0.5, "merge_method is linear or slerp here, not 'ties'"),
        (SLERP.replace("base_model: B, ", "") % 0.5, "slerp needs base_model"),
        (SLERP.replace("base_model: B", "base_model: X") % 0.5, "base_model 'X' is neither of the two models"),
        (SLERP.replace("{model: F}", "{model: F}, {model: F}") % 0.5, "two models can be merged here"),
        (SLERP.replace("model: F", "model: F+lora") % 0.5, "is not a folder or Hub name; give an adapter"),
        (SLERP.replace("merge_method", "tokenizer_source: union, merge_method") % 0.5, "tokenizer_source is not read"),
        (SLERP.replace("merge_method", "dtype: float16, merge_method") % 0.5, "dtype float16 is not that of .*float32"),
        (SLERP % "0.5, normalize: true", "normalize is not read here"),
        (SLERP % "high", "t is neither a number nor a list of numbers: 'high'"),
        (SLERP % "[{filter: mlp, value: 0.5}]", "t needs a last value without a filter"),
        (SLERP % "[{filter: 'm.*p|x', value: 0.5}, {value: 1}]", r"the filter 'm\.\*p\|x' of t is not a piece"),
        (SLERP % "[{filter: moe, value: 0.5}, {value: 1}]", "the filter moe decides no tensor"),
        (SLERP % "1.5", r"alpha lies in \[0, 1\], not 1.5"),
        (LINEAR % ("1, density: 0.5", 1), "density is not read here"),
        (LINEAR % (1, -1), r"the two weights add up to \[0.0\]"),
        (LINEAR % ("[1, 0]", 1), r"the two weights add up to \[2.0, 1.0\]: that must be one number"),
        (LINEAR % ("[{filter: mlp, value: 1}, {value: 2}]", "[{filter: a, value: 1}, {value: 2}]"), "different filter"),
        (LINEAR.replace("linear,", "linear, parameters: {normalize: false},") % (1, 1), "the weights add up to 2"),
        (DOCUMENTED.replace("[0, 7]", "[0, 5]"), r"layer_range \[0, 5\] is not \[0, 7\], all layers"),
        ("{merge_method: [slerp], models: 3}", "merge_method is linear or slerp here"),
        ("{merge_method: linear, models: 3}", "two models can be merged here"),
        ("{merge_method: linear, slices: {a: b}}", "only one slice, with all layers"),
        ("{merge_method: linear, models: [{model: B}, {model: F}], parameters: [1]}", r"parameters is \[1\] where"),
        ("- a", "not a mapping"),
        ("{", "not readable as YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_here_is_refused_by_name(read, text, sentence):
    with pytest.raises(UserError, match=f"merge.yml: .*{sentence}"):
        read(text)


def test_a_file_is_merged_as_its_alphas_say(tmp_path):
    base, finetuned = pair(tmp_path)
    path = tmp_path / "merge.yml"
    text = (SLERP % "[{filter: mlp, value: [0.2, 0.8]}, {value: 0.5}]").replace(": B", f": {base}")
    path.write_text(text.replace(": F", f": {finetuned}"))
    result = run_in_process(merge_models, "--mergekit", path, "--output_dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "out").glob("alpha*")
    before, after, merged = state(base), state(finetuned), state(folder)
    for name, alpha in {"model.norm.weight": 0.5, "model.layers.1.mlp.up_proj.weight": 0.8}.items():
        assert torch.equal(merged[name], merge_tensors(before[name], after[name], alpha, "slerp"))
    missing = run_in_process(merge_models, "--mergekit", tmp_path / "none.yml")
    assert (missing.returncode, "none.yml: not readable as YAML" in missing.stderr) == (2, True)
