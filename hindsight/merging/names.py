"""What to do when two checkpoints name their tensors differently, or one has a part that the other lacks."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from hindsight.errors import UserError
from hindsight.merging.checkpoints import Checkpoint
from hindsight.merging.rewriting import new_prefix, rewrite_command

EMBEDDINGS = ("embed_tokens.weight", "word_embeddings.weight", "embed_in.weight", "wte.weight")
HEADS = ("lm_head.weight", "embed_out.weight")
BODIES = {"model.", "transformer.", "gpt_neox."}  # the prefix of everything except the head
USUAL = {*BODIES, "model.decoder.", ""}  # prefixes of the embedding; transformers adds a missing one itself
_WRAPPER = re.compile(r"\b(_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module)\.")  # of torch, at any place
_LAYER = re.compile(r"((?:.*?\.)?(?:layers|h|blocks)\.)(\d+)\.")


def embedding_of(checkpoint: Checkpoint) -> str | None:
    """The name of its tokens' embedding."""
    return next((name for name in checkpoint.tensors if name.endswith(EMBEDDINGS)), None)


def require_same_type(base: Checkpoint, finetuned: Checkpoint) -> None:
    """Raises UserError if one model is quantised, or their types differ."""
    for checkpoint in (base, finetuned):
        quantised = checkpoint.setting("quantization_config")
        if quantised:
            how = quantised.get("quant_method", "by its config")
            raise UserError(f"{checkpoint.name} is quantised ({how}); merge the model that it was made from")
    types = base.config.get("model_type"), finetuned.config.get("model_type")
    if all(types) and types[0] != types[1]:
        both = f"model_type {types[0]} and {types[1]}"
        advice = _text_model_advice(base, finetuned) or _text_model_advice(finetuned, base)
        raise UserError(f"{base.name} and {finetuned.name} have different architectures: {both}{advice}")


def require_same_names(base: Checkpoint, finetuned: Checkpoint) -> None:
    """Raises UserError, with what to do, if one checkpoint lacks tensors of the other, or their classes differ."""
    for one, other in ((base, finetuned), (finetuned, base)):
        missing = sorted(other.tensors.keys() - one.tensors.keys())
        if missing:
            first = f"the first is {missing[0]} {list(other.tensors[missing[0]].shape)}"
            advice = _adapter_advice(base, finetuned) or _prefix_advice(one, other) or _wrapper_advice(base, finetuned)
            advice = advice or _part_advice(one, other)
            raise UserError(f"{one.name} lacks {len(missing)} tensors of {other.name}, {first}{advice}")
    one, other = base.config.get("architectures"), finetuned.config.get("architectures")
    if one and other and str(one).lower() != str(other).lower():  # LLaMAForCausalLM is LlamaForCausalLM
        both = f"architectures {one} and {other}"
        raise UserError(f"{base.name} and {finetuned.name} have different architectures: {both}")


def require_known_names(*checkpoints: Checkpoint) -> None:
    """Raises UserError, with what to do, if transformers does not know the names, which all these checkpoints share.

    It would draw those weights at random. Importing it takes seconds, so only unusual names are checked.
    """
    first = checkpoints[0]
    embedding = next((name for name in first.tensors if name.endswith(EMBEDDINGS)), "")
    before = embedding.removesuffix(next((end for end in EMBEDDINGS if embedding.endswith(end)), ""))
    is_wrapped = any(map(_WRAPPER.search, first.tensors))
    if (before in USUAL and not is_wrapped) or not (missing := first.missing_in_transformers()):
        return
    old, new = _prefixes(first, replace(first, tensors=dict.fromkeys(missing, next(iter(first.tensors.values())))))
    renames = {_WRAPPER.pattern: ""} if is_wrapped else new_prefix(old, new)
    commands = [rewrite_command(each.name, each.folder, renames) for each in checkpoints]
    advice = f": rename them by {' and by '.join(commands)}" * bool(renames)
    names = " and ".join(each.name for each in checkpoints)
    raise UserError(f"transformers does not find {len(missing)} tensors in {names}, such as {missing[0]}{advice}")


def require_whole(checkpoint: Checkpoint) -> None:
    """Raises UserError if a layer lacks tensors that transformers' model has.

    transformers would fill them with random numbers. So would vLLM if it joins the missing tensor with others that are
    present, such as those of queries, keys and values. Importing transformers takes seconds, so it is asked only if the
    layers' names differ. The names in a quantised model depend on the method, so it is not checked.
    """
    if checkpoint.setting("quantization_config"):
        return
    stacks: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in checkpoint.tensors:
        if found := _LAYER.match(name):
            stacks[found[1]][found[2]].add(name[found.end() :])
    alike = all(names == next(iter(layers.values())) for layers in stacks.values() for names in layers.values())
    layers = checkpoint.setting("num_hidden_layers")
    if alike and layers in {None, *map(len, stacks.values())}:
        return
    if missing := checkpoint.missing_in_transformers():
        lacks = f"{checkpoint.name} lacks {len(missing)} tensors of its model, such as {missing[0]}"
        raise UserError(f"{lacks}, for which random numbers would be used; copy or download it again")


def _text_model_advice(whole: Checkpoint, text: Checkpoint) -> str:
    """How to save the language model of a model with several parts; empty if the other is not of its type."""
    if (whole.config.get("text_config") or {}).get("model_type") != text.config.get("model_type"):
        return ""
    command = rewrite_command(whole.name, whole.folder, new_prefix(*_prefixes(whole, text)), text_model=True)
    return f"; merge the language model of {whole.name} alone: {command}"


def _adapter_advice(*checkpoints: Checkpoint) -> str:
    for each in checkpoints:
        if any(".base_layer." in name or ".lora_" in name for name in each.tensors):
            return f"; {each.name} has an adapter beside its weights: merge it first (peft's merge_and_unload)"
    return ""


def _prefix_advice(one: Checkpoint, other: Checkpoint) -> str:
    """How to rename the tensors of one of two checkpoints that differ in a prefix; empty if they differ otherwise."""
    mine, theirs = _prefixes(one, other)
    if mine == theirs:
        return ""
    longer = len(mine) > len(theirs)  # a wrapper adds a prefix, and a model without its head lacks one
    prefix, without = (mine, other) if longer else (theirs, one)
    has_prefix = any(name.startswith(prefix) for name in without.tensors)
    bare = "" in (mine, theirs) and prefix in BODIES and not has_prefix
    odd, right, old, new = (one, other, mine, theirs) if longer != bare else (other, one, theirs, mine)
    shown = f"; in {odd.name}, names start with {old!r}" if old else f"; in {odd.name}, names lack {new!r}"
    shown += f" instead of {new!r}" if old and new else ""
    renamed = {new + name.removeprefix(old) for name in odd.tensors if name.startswith(old)}
    missing = {name for name in right.tensors.keys() - renamed - odd.tensors.keys() if not name.endswith(HEADS)}
    if missing or not (odd.ties_head or any(name.endswith(HEADS) for name in odd.tensors)):
        return f"{shown}, and {min(missing, default='its head')} is missing: save the whole model again"
    command = rewrite_command(odd.name, odd.folder, new_prefix(old, new) if old else {})
    return f"{shown}: rename them by {command}"


def _wrapper_advice(*checkpoints: Checkpoint) -> str:
    for each in checkpoints:
        if found := next(filter(None, map(_WRAPPER.search, each.tensors)), None):
            command = rewrite_command(each.name, each.folder, {_WRAPPER.pattern: ""})
            return f"; in {each.name}, names contain {found[0]!r}: rename them by {command}"
    return ""


def _prefixes(one: Checkpoint, other: Checkpoint) -> tuple[str, str]:
    """The two prefixes in which most tensors with different names differ; equal if no names differ."""
    ends: dict[str, list[str]] = {}
    for name in other.tensors.keys() - one.tensors.keys():
        for prefix, end in _cuts(name):
            ends.setdefault(end, []).append(prefix)
    own = one.tensors.keys() - other.tensors.keys()
    found: Counter[tuple[str, str]] = Counter()
    for name in own:
        prefix, end = next((cut for cut in _cuts(name) if cut[1] in ends), ("", ""))
        if len(ends.get(end, ())) == 1:
            found[prefix, ends[end][0]] += 1
    pair, count = found.most_common(1)[0] if found else (("", ""), 0)
    return pair if 2 * count > min(len(own), len(other.tensors.keys() - one.tensors.keys())) else ("", "")


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """Every way to cut a tensor's name into a prefix and an end at a dot; the longest end first."""
    yield "", name
    for dot in re.finditer(r"\.", name):
        yield name[: dot.end()], name[dot.end() :]


def _part_advice(one: Checkpoint, other: Checkpoint) -> str:
    """What to do if the other has all tensors of the first, and a head or other parts beside its layers in addition."""
    extra = other.tensors.keys() - one.tensors.keys()
    if one.tensors.keys() - other.tensors.keys():
        return ""
    if any(name.endswith(HEADS) for name in extra):
        return f"; the config of {one.name} does not tie its head, so save the whole model"
    stacks = {stack for stack, _ in map(_layer, one.tensors)}
    layers = other.setting("num_hidden_layers") or math.inf  # several predicted tokens can be further layers
    if any(stack and stack in stacks and number < layers for stack, number in map(_layer, extra)):
        return ""
    command = rewrite_command(other.name, other.folder)
    return f"; if they are a value head or predict several tokens, leave them out by {command}"


def _layer(name: str) -> tuple[str, int]:
    """The stack of layers that a tensor belongs to, such as `model.layers.`, and its number there."""
    found = _LAYER.match(name)
    return (found[1], int(found[2])) if found else ("", 0)
