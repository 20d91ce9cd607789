"""Differences between the configs of two checkpoints: those that forbid a merge, and those that are only reported.

A setting that one config leaves out has transformers' default. Two ways to write one setting, such as `rope_theta`
beside or within `rope_parameters`, are the same.
"""

from typing import Any

from hindsight.errors import UserError
from hindsight.merging.checkpoints import Checkpoint

EXAMPLES = 5  # settings named in one sentence
NOT_REPORTED = {
    "_name_or_path",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "use_cache",
    "vocab_size",
    "architectures",
}
# Settings that give each row and column of a weight its meaning without changing its shape: the division into heads,
# the part of each head that is rotated, where a layer's input goes. If they differ, a mean of the weights is
# meaningless. Other settings (rope_theta, its scaling, norm eps, windows, soft caps, experts per token) may change in
# fine-tuning.
LAYOUT = (
    "num_attention_heads", "num_key_value_heads", "head_dim", "n_head", "n_heads", "num_heads", "num_kv_heads",
    "multi_query", "partial_rotary_factor", "rotary_pct", "rotary_dim", "rope_interleave", "position_embedding_type",
    "alibi", "use_parallel_residual", "parallel_attn", "hidden_act", "hidden_activation", "activation_function",
)  # fmt: skip

ROPE = ("rope_", "rotary_", "partial_rotary")


def compare_configs(base: Checkpoint, finetuned: Checkpoint) -> list[str]:
    """A sentence that names the settings that differ. Raises UserError if one of them forbids a merge."""
    one, other = base.config, finetuned.config
    differing = {key for key in (one.keys() | other.keys()) - NOT_REPORTED if one.get(key) != other.get(key)}
    if any(key.startswith(ROPE) for key in differing) or _layout(one) != _layout(other):
        full = base.full_config, finetuned.full_config  # only if needed: importing transformers takes two seconds
        _require_same_layout(base.name, finetuned.name, *map(_layout, full))
        differing = {key for key in differing if _value(key, full[0], one) != _value(key, full[1], other)}
    shown = [f"{key} {one.get(key)!r} and {other.get(key)!r}" for key in sorted(differing)]
    more = f" and {len(shown) - EXAMPLES} more" * (len(shown) > EXAMPLES)
    return [f"the configs differ: {'; '.join(shown[:EXAMPLES])}{more}"] if shown else []


def _require_same_layout(base: str, finetuned: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    for key in LAYOUT:
        values = one.get(key), other.get(key)
        if None not in values and values[0] != values[1]:
            how = f"{key} is {values[0]!r} in {base} and {values[1]!r} in {finetuned}"
            raise UserError(f"{how}: their weights of the same shape mean different things and cannot be merged")


def _value(key: str, full: dict[str, Any], config: dict[str, Any]) -> Any:
    """A setting of a full config, whose `rope_parameters` includes its older spellings, else of the config."""
    rope = full.get("rope_parameters") if key.startswith(ROPE) else None
    if rope and "rope_type" in rope:
        rope = {name: value for name, value in rope.items() if name != "type"}  # its older name
    return full.get(key, rope or config.get(key))


def _layout(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of LAYOUT of a model or its text model; the variants of one activation count as the same."""
    settings = {**config, **(config.get("text_config") or {})}
    settings = {**(settings.get("rope_parameters") or {}), **settings}
    return {key: _activation(settings[key]) for key in LAYOUT if key in settings}


def _activation(value: Any) -> Any:
    """GELU for its approximations, which old configs of Gemma and others confuse; SiLU for its older name."""
    if isinstance(value, str) and "gelu" in value:
        return "gelu"
    return "silu" if value == "swish" else value
