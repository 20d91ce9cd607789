"""mergekit's YAML (https://github.com/arcee-ai/mergekit) of a `linear` or `slerp` merge of two models, as a merge here.

    merge_method: slerp
    base_model: meta-llama/Llama-3.1-8B
    models: [{model: meta-llama/Llama-3.1-8B}, {model: deepseek-ai/DeepSeek-R1-Distill-Llama-8B}]
    parameters:
      t: [{filter: self_attn, value: [0, 0.5, 1]}, {value: 0.7}]

As in mergekit (config.py, `evaluate_setting`; plan.py, `plan_slice`), a filter is any piece of a tensor's name, the
first that matches decides, and a list runs over the layers from the first to the last; outside the layers its first
number counts. Anything else in a file is refused by name, so that no merge differs from what the file describes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hindsight.errors import UserError, require
from hindsight.merging.alphas import AlphaRule, PartAlpha, layer_of
from hindsight.merging.checkpoints import Checkpoint, open_checkpoint

METHODS = {"linear": "lerp", "slerp": "slerp"}
ALL = "*"  # mergekit's filter for every tensor; a missing one means the same

Setting = list[tuple[str, tuple[float, ...]]]  # filters and their values, in order; several values are a gradient


@dataclass(frozen=True)
class MergekitMerge:
    """The merge that a file describes: both models, the method's name here, and the alphas."""

    base: str
    finetuned: str
    method: str
    rule: AlphaRule


def read_mergekit(path: Path, extrapolate: bool = False) -> MergekitMerge:
    """Reads a file, and the headers of its base. Raises UserError for anything that cannot be merged as it says."""
    try:
        return _read(_load(path), extrapolate)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _load(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"not readable as YAML ({' '.join(str(error).split())})") from None
    require(isinstance(config, dict), "not a mapping, as mergekit's files are")
    return config


def _read(config: Mapping[str, Any], extrapolate: bool) -> MergekitMerge:
    _only(config, "merge_method", "models", "slices", "base_model", "parameters", "dtype")
    method = str(config.get("merge_method"))
    require(method in METHODS, f"merge_method is {' or '.join(METHODS)} here, not {method!r}")
    sources, shared = _sources(config)
    models = [_model(source.get("model")) for source in sources]
    base_model = config.get("base_model")
    require(base_model is not None or method == "linear", "slerp needs base_model, the model of t 0")
    require(base_model is None or base_model in models, f"base_model {base_model!r} is neither of the two models")
    if base_model == models[1]:
        models.reverse()
        sources.reverse()
    checkpoint = open_checkpoint(models[0])
    layers = 1 + max((layer for layer in map(layer_of, checkpoint.tensors) if layer is not None), default=-1)
    for source in sources:
        whole = source.get("layer_range", [0, layers]) == [0, layers]
        require(whole, f"layer_range {source.get('layer_range')} is not [0, {layers}], all layers of {models[0]}")
    _require_dtype(config.get("dtype"), checkpoint)
    setting = _linear(sources, shared) if method == "linear" else _slerp(sources, shared)
    parts, alpha = _parts(setting, layers, list(checkpoint.tensors))
    return MergekitMerge(models[0], models[1], METHODS[method], AlphaRule.parse(alpha, map(str, parts), extrapolate))


def _sources(config: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
    """The two models with their parameters, and the parameters of both. A slice of all layers is the same as models."""
    shared, slices = _parameters(config), config.get("slices")
    sources = _pair(config, "models") if slices is None else []
    if slices is not None:
        one = isinstance(slices, list) and len(slices) == 1 and "models" not in config
        require(one, "only one slice, with all layers, can be merged here")
        _only(slices[0], "sources", "parameters")
        own, sources = _parameters(slices[0]), _pair(slices[0], "sources")
        twice = sorted(own.keys() & shared.keys())
        require(not twice, f"{', '.join(twice)} is in both the slice and the file's parameters")
        shared = {**shared, **own}
    for source in sources:
        _only(source, "model", "parameters", *(["layer_range"] if slices else []))
    return sources, shared


def _pair(mapping: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    pair = mapping.get(key)
    if not isinstance(pair, list) or len(pair) != 2:
        raise UserError("exactly two models can be merged here")
    return list(pair)


def _parameters(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    found = mapping.get("parameters") or {}
    if not isinstance(found, dict):
        raise UserError(f"parameters is {found!r} where a mapping is expected")
    return found


def _model(name: Any) -> str:
    plain = isinstance(name, str) and "+" not in name
    require(plain, f"model {name!r} is not a folder or Hub name; give an adapter as FINETUNED_MODEL")
    return name


def _require_dtype(dtype: Any, checkpoint: Checkpoint) -> None:
    """Raises UserError unless merged tensors, which keep the parents' dtypes, have this dtype."""
    found = sorted({tensor.dtype_name for tensor in checkpoint.tensors.values() if tensor.dtype.is_floating_point})
    fits = dtype is None or [dtype] == found
    require(fits, f"dtype {dtype} is not that of {checkpoint.name} ({', '.join(found)}), and merging here keeps dtypes")


def _slerp(sources: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]) -> Setting:
    _only(shared, "t")
    for source in sources:
        _only(_parameters(source))
    return _setting("t", shared.get("t"))


def _linear(sources: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]) -> Setting:
    """The share of the second model: w1 / (w0 + w1), or w1 if the weights are not normalised."""
    _only(shared, "weight", "normalize")
    weights = []
    for source in sources:
        own = _parameters(source)
        _only(own, "weight")
        weights.append(_setting("weight", own.get("weight", shared.get("weight"))))
    if len({len(each) for each in weights}) == 2:  # a plain weight beside one with filters
        short, long = sorted(weights, key=len)
        require(short[0][0] == ALL, "the weights of the two models have different filters")
        short[:] = [(where, short[0][1]) for where, _ in long]
    both = list(zip(*weights, strict=True))
    require(all(one[0] == other[0] for one, other in both), "the weights of the two models have different filters")
    return [(one[0], _shares(one[1], other[1], shared.get("normalize", True))) for one, other in both]


def _shares(one: tuple[float, ...], other: tuple[float, ...], normalize: Any) -> tuple[float, ...]:
    length = max(len(one), len(other))
    pair = [each * length if len(each) == 1 else each for each in (one, other)]
    require(len(pair[0]) == len(pair[1]), "the weights of the two models are lists of different lengths")
    sums = [sum(each) for each in zip(*pair, strict=True)]
    straight = max(sums) - min(sums) <= 1e-9 and abs(sums[0]) > 1e-9
    require(straight, f"the two weights add up to {sums}: that must be one number other than 0 on all layers")
    require(bool(normalize) or abs(sums[0] - 1) <= 1e-9, f"normalize is false, and the weights add up to {sums[0]:g}")
    return tuple(share / sums[0] if normalize else share for share in pair[1])


def _setting(name: str, value: Any) -> Setting:
    """A parameter as filters and their values, of which the last is for all tensors."""
    require(value is not None, f"{name} is missing")
    if not isinstance(value, list) or not any(isinstance(each, dict) for each in value):
        return [(ALL, _values(name, value))]
    found: Setting = []
    for each in value:
        require(
            isinstance(each, dict) and "value" in each, f"{name} has {each!r} where a filter and a value are expected"
        )
        _only(each, "filter", "value")
        where = each.get("filter") or ALL
        readable = where == ALL or (isinstance(where, str) and re.fullmatch(r"[\w.-]+", where))
        require(bool(readable), f"the filter {where!r} of {name} is not a piece of a tensor's name")
        found.append((where, _values(name, each["value"])))
        if where == ALL:
            return found
    raise UserError(f"{name} needs a last value without a filter, for the other tensors")


def _values(name: str, value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    try:
        require(
            bool(values) and not any(isinstance(each, bool) for each in values), f"{name} is not a number: {value!r}"
        )
        return tuple(float(each) for each in values)
    except (TypeError, ValueError):
        raise UserError(f"{name} is neither a number nor a list of numbers: {value!r}") from None


def _parts(setting: Setting, layers: int, tensors: Sequence[str]) -> tuple[list[PartAlpha], float]:
    """The parts of the rule that gives each tensor the setting's value, and the alpha of the other tensors."""
    parts: list[PartAlpha] = []
    left = set(tensors)
    for where, values in setting:
        piece = "" if where == ALL else f".*{where}*"
        run = values if layers > 1 else values[-1:]  # mergekit takes a single layer for the last
        of_layers = [PartAlpha(f"layers.0-{layers - 1}{piece}", run)] if len(values) > 1 and layers else []
        everywhere = [] if where == ALL else [PartAlpha(f"*{where}*", values[:1])]
        used = []
        for part in of_layers + everywhere:
            covered = {tensor for tensor in left if part.matches(tensor)}
            used += [part] * bool(covered)
            left -= covered
        require(bool(used) or where == ALL, f"the filter {where} decides no tensor")
        parts += used
    return parts, setting[-1][1][0]


def _only(mapping: Any, *keys: str) -> None:
    """Raises UserError for the first key that is not expected."""
    require(isinstance(mapping, dict), f"{mapping!r} is found where a mapping is expected")
    other = next((str(key) for key in mapping if key not in keys), None)
    expected = f" ({', '.join(keys)} are)" if keys else ""
    require(other is None, f"{other} is not read here{expected}")
