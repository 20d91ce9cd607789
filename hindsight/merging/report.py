"""Reports about merges, beside the merged checkpoints, and the model card (`README.md`) of each checkpoint.

`merge_report.json` and `merge_report.png` have the distance between a fine-tuned model and its base, tensor by tensor.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hindsight.files.records import read_record, write_bytes, write_json
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.arithmetic import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MERGE_FILE = "merge.json"
REPORT_FILE = "merge_report.json"
PICTURE_FILE = "merge_report.png"
_LAYER = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.(\w+)")

CARD = """---
base_model:
- {base}
- {finetuned}
base_model_relation: merge
---

# {finetuned}, merged back towards {base}

{formula}

tensor by tensor, by hindsight merging (Veselovsky et al., "Hindsight Merging", UAI 2025): alpha {alpha:.12g}, where 0
is the base and 1 the fine-tuned model. {tensors} tensors, {parameters:,} parameters.
{parts}
| | model | digest of its weights |
|---|---|---|
| base | {base}{base_revision} | `{base_digest}` |
| fine-tuned | {finetuned}{finetuned_revision} | `{finetuned_digest}` |

The distance between the two models' weights is {relative:.3g} of the base's norm, their angle {degrees:.3g} degrees.
{config}
{notes}
A digest is the SHA-256 of the sorted lines `name dtype [shape] SHA-256-of-the-tensor's-bytes`; it does not depend on
the sharding. `merge.json` has the digests of every tensor.
"""
PARTS = """
These parts have alphas of their own, written as for `--alpha_of`. The first that covers a tensor decides:

{}
"""
EXTRAPOLATION = "an alpha beyond [0, 1] extrapolates: the merged model does not lie between the two models"
FORMULAS = {
    "lerp": "    merged = {:.12g} * base + {:.12g} * finetuned",
    "slerp": "    merged = the arc from base to finetuned, at {1:.12g} of its angle",
}
BY_PART = {
    "lerp": "    merged = (1 - alpha) * base + alpha * finetuned",
    "slerp": "    merged = the arc from base to finetuned, at alpha of its angle",
}


def layer_and_part(tensor: str) -> tuple[int | None, str]:
    """The layer of a tensor and its part of that layer ("self_attn", "mlp"); without a layer, None and its own name.

    >>> layer_and_part("model.layers.3.mlp.up_proj.weight")
    (3, 'mlp')
    """
    found = _LAYER.search(tensor)
    if found:
        return int(found[1]), found[2]
    return None, tensor.removeprefix("model.").removesuffix(".weight")


def distances_by_layer(comparisons: Mapping[str, Comparison]) -> dict[str, dict[int | None, float]]:
    """|finetuned - base| / |base| of each part by layer, with the Frobenius norm over all tensors of the part."""
    places: dict[tuple[int | None, str], list[Comparison]] = {}
    for name, comparison in comparisons.items():
        places.setdefault(layer_and_part(name), []).append(comparison)
    distances: dict[str, dict[int | None, float]] = {}
    for (layer, part), parts in sorted(places.items(), key=lambda item: (item[0][0] is not None, item[0][0] or 0)):
        distances.setdefault(part, {})[layer] = relative_distance(combine(parts))
    return distances


def combine(comparisons: Iterable[Comparison]) -> Comparison:
    """The comparison of several tensors as one long vector."""
    return Comparison.total(astuple(each) for each in comparisons)


def relative_distance(comparison: Comparison) -> float:
    """|finetuned - base| / |base|; 0 if the two are equal, inf if only the base is zero."""
    if comparison.base_norm == 0:
        return math.inf if comparison.distance else 0.0
    return comparison.distance / comparison.base_norm


def draw_distances(distances: Mapping[str, Mapping[int | None, float]]) -> "Figure":
    """Draws relative distances between two checkpoints by layer: a line per part, a dot for a part without a layer."""
    from matplotlib import colormaps  # here, so that a loader of merges in vLLM does not import it
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained", dpi=100)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize="small")
    colors = [colormaps["viridis"](0.95 * index / max(1, len(distances) - 1)) for index in range(len(distances))]
    for color, (part, by_layer) in zip(colors, distances.items(), strict=True):
        layers = [-1 if layer is None else layer for layer in by_layer]
        axes.plot(layers, list(by_layer.values()), "o-", color=color, markersize=4, linewidth=1.2, label=part)
    deepest = max((layer for by_layer in distances.values() for layer in by_layer if layer is not None), default=0)
    ticks = sorted({-1, *range(0, deepest + 1, max(1, deepest // 8))})
    axes.set_xticks(ticks, ["none" if tick < 0 else str(tick) for tick in ticks])
    axes.set(xlabel="layer", ylabel="|finetuned - base| / |base|", ylim=(0, None))
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def write_report(output_dir: Path, folders: Iterable[Path]) -> None:
    """Writes the report and its picture for merges of one pair by one method.

    It covers the given folders, and every other `alpha_A` in the output folder that differs from them only in alphas.
    """
    given = [read_record(folder / MERGE_FILE) for folder in folders]
    others = [read_record(path) for path in sorted(output_dir.glob(f"alpha_*/{MERGE_FILE}"))]
    rules = {_rule(made) for made in given + others if _kind(made) == _kind(given[0])}
    ordered = sorted(rules, key=lambda rule: (rule.alpha, str(rule)))
    write_json(output_dir / REPORT_FILE, describe(given[0], ordered))
    comparisons = _comparisons(given[0]["tensors"])
    if comparisons:
        figure = draw_distances(distances_by_layer(comparisons))
        temporary = output_dir / f".{PICTURE_FILE}"
        figure.savefig(temporary, format="png", dpi=150)
        temporary.replace(output_dir / PICTURE_FILE)


def describe(made: dict[str, Any], rules: list[AlphaRule]) -> dict[str, Any]:
    """The report of a merge (`made` is the content of its `merge.json`), with the norms by several rules."""
    comparisons = _comparisons(made["tensors"])
    whole, lines = combine(comparisons.values()), _without_arc(made)
    parameters = {row["name"]: row["parameters"] for row in made["tensors"]}
    return {
        "base": made["base"]["name"],
        "finetuned": made["finetuned"]["name"],
        "method": made["method"],
        "notes": made["notes"],
        "tensors_merged": len(comparisons),
        "parameters": sum(parameters.values()),
        "relative_distance": _number(relative_distance(whole)),
        "cosine": _number(whole.cosine),
        "slerp_took_the_line": {"tensors": len(lines), "parameters": sum(parameters[name] for name in lines)},
        "tensors": [
            {
                "name": row["name"],
                "shape": row["shape"],
                "dtype": row["dtype"],
                **(_figures(row["name"], comparisons[row["name"]], made["method"], rules) if row["comparison"] else {}),
            }
            for row in made["tensors"]
        ],
    }


def write_card(path: Path, made: dict[str, Any]) -> None:
    """The model card of a merged checkpoint, from the content of its `merge.json`."""
    rule = _rule(made)
    report = describe(made, [rule])
    whole = combine(_comparisons(made["tensors"]).values())
    line, notes = report["slerp_took_the_line"], list(made["notes"])
    if line["tensors"]:
        notes.append(f"{line['tensors']} tensors ({line['parameters']:,} parameters) have no arc: SLERP took the line")
    notes += [EXTRAPOLATION] * rule.extrapolates
    models: dict[str, Any] = {}
    for key in ("base", "finetuned"):
        revision = f" @ {made[key]['revision']}" if made[key]["revision"] else ""
        models |= {key: made[key]["name"], f"{key}_digest": made[key]["digest"], f"{key}_revision": revision}
    card = CARD.format(
        **models,
        formula=(BY_PART if rule.parts else FORMULAS)[made["method"]].format(1 - rule.alpha, rule.alpha),
        alpha=rule.alpha,
        parts=PARTS.format("\n".join(f"- `{part}`" for part in rule.parts)) if rule.parts else "",
        tensors=len(made["tensors"]),
        parameters=report["parameters"],
        relative=relative_distance(whole),
        degrees=math.degrees(whole.angle),
        config=_whose_config(made),
        notes="".join(f"\n- {note}" for note in notes) + "\n" * bool(notes),
    )
    write_bytes(path, card.encode())


def _rule(made: dict[str, Any]) -> AlphaRule:
    return AlphaRule.from_json(made["alpha"], extrapolate=True)


def _whose_config(made: dict[str, Any]) -> str:
    whose = {"base": "the base", "finetuned": "the fine-tuned model"}
    if "tokenizer_from" in made:  # an adapter has no config of its own
        tokenizer = whose[made["tokenizer_from"]]
        return f"Config and dtypes are those of the base, tokenizer and chat template are those of {tokenizer}."
    return f"Config, tokenizer and chat template are those of {whose[made['config_from']]}."


def _comparisons(rows: list[dict[str, Any]]) -> dict[str, Comparison]:
    """The comparisons of the tensors that were averaged."""
    return {row["name"]: Comparison(**row["comparison"]) for row in rows if row["comparison"]}


def _without_arc(made: dict[str, Any]) -> list[str]:
    """The tensors for which SLERP took the line."""
    if made["method"] != "slerp":
        return []
    return [name for name, comparison in _comparisons(made["tensors"]).items() if not comparison.has_arc]


def _figures(name: str, comparison: Comparison, method: str, rules: list[AlphaRule]) -> dict[str, Any]:
    return {
        "base_norm": comparison.base_norm,
        "finetuned_norm": comparison.finetuned_norm,
        "distance": comparison.distance,
        "relative_distance": _number(relative_distance(comparison)),
        "cosine": _number(comparison.cosine),
        "angle": _number(comparison.angle),
        "norms": {str(rule): comparison.norm(*comparison.weights(rule.alpha_of(name), method)) for rule in rules},
    }


def _number(figure: float) -> float | None:
    """None for nan and inf, which JSON lacks."""
    return figure if math.isfinite(figure) else None


def _kind(made: dict[str, Any]) -> tuple[Any, ...]:
    """A key that is the same for two merges that differ only in alpha."""
    return made["base"]["digest"], made["finetuned"]["digest"], made["method"], made["config_from"]
