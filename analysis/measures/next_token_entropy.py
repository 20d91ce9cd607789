"""Next-token entropy of checkpoints along given answers: how open each is, at every token, about what comes next.

tokens, entropies = entropies_along(record, {
    "base": "lab/models/base",                                         # a folder or a Hub name
    "alpha 0.7": ("lab/models/base", "lab/models/instruct", 0.7),      # merged in memory; see `Merge`
})
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from hindsight.errors import UserError
from hindsight.merging.checkpoints import open_checkpoint, read_tensor, resolve_checkpoint
from hindsight.merging.plan import MergePlan, plan_merge
from hindsight.merging.streaming import merge_pair
from hindsight.text.prompts import base_prompt
from hindsight.text.uniform_format import BEGIN_THOUGHT

OPENING = f"{BEGIN_THOUGHT}\n\n"  # what base and switching runs put into the prompt and keep in the answer
LOGITS = 1 << 27  # logits in memory at once; of them
ROUNDED = 1 << 24  # so many in float32
THREADS = 8  # that merge, at most

Pair = tuple[list[int], list[int]]  # tokens of a context and of the answer that follows it


class Merge(NamedTuple):
    """A model merged in memory: base and fine-tuned checkpoint (folders or Hub names), alpha in [0, 1], the method."""

    base: str | Path
    finetuned: str | Path
    alpha: float
    method: str = "lerp"


Source = str | Path | tuple  # a checkpoint's folder or Hub name, or what makes a Merge


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of the distributions softmax(logits), over the last dimension, computed in float32.

    `logits` may be of any dtype, [..., V]. Between 0, one token is certain, and log V, all V tokens are alike. A token
    of logit -inf adds nothing.
    """
    rows = logits.reshape(-1, logits.shape[-1])
    parts = [_entropy(part) for part in rows.split(max(1, ROUNDED // rows.shape[-1]))]
    return torch.cat(parts).reshape(logits.shape[:-1])


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    """log S - sum(e^z z) / S with z = logits - their maximum, S = sum(e^z): of two terms that are never negative.

    (By `log_softmax` it would lose the small shares beside a large one, of which 150,000 tokens have many: its sum
    rounds after each.)
    """
    below = logits.float()
    below = (below - below.amax(dim=-1, keepdim=True)).clamp_min_(-1000)  # e^-1000 is 0, and 0 * -inf no number
    powers = below.exp()
    total = powers.sum(dim=-1)
    return total.log() - powers.mul_(below).sum(dim=-1) / total


def load_checkpoint(source: Source, device: str = "cpu") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model and its tokenizer. Raises UserError when they cannot be loaded or merged.

    A merged model has the weights, to the bit, that merge_models.py writes, and like there the fine-tuned model's
    config, tokenizer and chat template; nothing is written. Models compute in the dtype of their files; on a CPU in
    float32, with the same weights, as bfloat16 takes several times as long there.
    """
    logging.disable_progress_bar()
    merge = Merge(*source) if isinstance(source, tuple) else None
    try:
        if merge:
            plan = plan_merge(open_checkpoint(merge.base), open_checkpoint(merge.finetuned))
            folder, model = plan.finetuned.folder, _merged_model(plan, merge)
        else:
            folder = resolve_checkpoint(str(source))
            model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        model = model.float() if torch.device(device).type == "cpu" else model.to(device)
        return model.eval(), AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        name = merge.finetuned if merge else source
        raise UserError(f"{name} cannot be loaded: {str(error).strip().splitlines()[0]}") from None


def _merged_model(plan: MergePlan, merge: Merge) -> PreTrainedModel:
    with ThreadPoolExecutor(
        min(THREADS, len(os.sched_getaffinity(0))), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        weights = {
            pair.name: merge_pair(pair, read_tensor(pair.finetuned), merge.alpha, merge.method, pool.map)
            for pair in plan.pairs
        }
    config = type(AutoConfig.from_pretrained(plan.finetuned.folder)).from_dict(plan.config)
    with torch.device("meta"):  # a model without numbers, as the automatic class wants files
        model_class = type(AutoModelForCausalLM.from_config(config))
    return model_class.from_pretrained(None, config=config, state_dict=weights, dtype="auto")


def context_and_answer(record: dict[str, Any], tokenizer: PreTrainedTokenizerBase, transcript: bool = False) -> Pair:
    """The tokens of the prompt that an answer was made with, and those of the answer.

    A text prompt is taken as it was sent. Chat messages are rendered by the tokenizer's own chat template; where it
    has none, or with `transcript`, the prompt is the transcript that base models get, made of the record's `metadata`.
    A switching answer has both prompts, and the chat is taken. An opening that was part of the prompt is part of the
    context, not of the answer. Where the prompt has no tokens, the answer's first one is the context.

    Raises UserError when the template does not take the messages, or there is no `metadata` to make a transcript of.
    """
    prompt, answer, opening = record["prompt"], record["generated_text"], ""
    if isinstance(prompt, dict):
        prompt, opening = prompt["instruct"], OPENING
    if isinstance(prompt, list) and (transcript or not tokenizer.chat_template):
        if "question" not in (record.get("metadata") or {}):
            raise UserError(f"{tokenizer.name_or_path} reads a transcript, made of `metadata`, which an answer lacks")
        prompt, opening = base_prompt(record["metadata"]), ""
    if isinstance(prompt, list):
        context = tokenizer.encode(_render(prompt, tokenizer), add_special_tokens=False)
        context += tokenizer.encode(opening, add_special_tokens=False)
    else:
        context = tokenizer.encode(prompt)
    if opening or (isinstance(prompt, str) and prompt.endswith(OPENING)):
        answer = answer.removeprefix(OPENING)
    tokens = tokenizer.encode(answer, add_special_tokens=False)
    return (context, tokens) if context else (tokens[:1], tokens[1:])


def _render(messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase) -> str:
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except jinja2.TemplateError as error:
        raise UserError(f"the chat template of {tokenizer.name_or_path} does not take the prompt: {error}") from None


def answer_entropies(
    model: PreTrainedModel,
    pairs: Sequence[Pair],
    batch_tokens: int = 16384,
    progress: Callable[[int], None] = lambda answers: None,
) -> list[np.ndarray]:
    """For each (context, answer) of token ids, the entropy before each token of the answer: float32, [len(answer)].

    Texts of like length are read together, the longest first, in batches of at most `batch_tokens` tokens with their
    padding, or of one text; `progress` is called with the number of each. A context must have at least one token.
    """
    lengths = [len(context) + len(answer) for context, answer in pairs]
    found = [np.empty(0, np.float32)] * len(pairs)
    order = sorted((number for number, pair in enumerate(pairs) if pair[1]), key=lambda number: -lengths[number])
    progress(len(pairs) - len(order))
    while order:
        count = max(1, batch_tokens // lengths[order[0]])
        batch, order = order[:count], order[count:]
        for number, values in zip(batch, _read_batch(model, [pairs[number] for number in batch]), strict=True):
            found[number] = values
        progress(len(batch))
    return found


@torch.inference_mode()
def _read_batch(model: PreTrainedModel, pairs: list[Pair]) -> list[np.ndarray]:
    """The same for one batch, padded on the right.

    It goes through the model some positions at a time, over the keys and values of those before, as servers prefill:
    so there are at most LOGITS logits at once, or one position's, whatever the texts' length.
    """
    longest = max(len(context) + len(answer) for context, answer in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    mask, asked = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for number, (context, answer) in enumerate(pairs):
        length = len(context) + len(answer)
        ids[number, :length], mask[number, :length] = torch.tensor(context + answer), 1
        asked[number, len(context) - 1 : length - 1] = True  # the logits at a token are about the next one
    ids, mask, asked = (each.to(model.device) for each in (ids, mask, asked))
    step = max(1, LOGITS // (len(pairs) * model.config.get_text_config().vocab_size))
    values, cache = torch.zeros(ids.shape, device=model.device), None
    for start in range(0, longest, step):
        part = slice(start, min(start + step, longest))
        read = model(ids[:, part], attention_mask=mask[:, : part.stop], past_key_values=cache, use_cache=step < longest)
        cache = read.past_key_values
        values[:, part][asked[:, part]] = entropy(read.logits[asked[:, part]])
    return [row[chosen].cpu().numpy() for row, chosen in zip(values, asked, strict=True)]


def entropies_along(
    record: dict[str, Any], checkpoints: Mapping[str, Source], device: str = "cpu"
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The tokens of one answer as text, and the entropy before each by the checkpoints' labels.

    A checkpoint is a folder, a Hub name, or (base, fine-tuned, alpha[, method]), merged in memory. Raises UserError
    when two of them cut the answer into other tokens: their entropies do not stand side by side.
    """
    tokens: list[int] = []
    texts: list[str] = []
    found = {}
    for label, source in checkpoints.items():
        model, tokenizer = load_checkpoint(source, device)
        pair = context_and_answer(record, tokenizer)
        if found and pair[1] != tokens:
            raise UserError(f"{label} has other tokens for the answer than {next(iter(found))}")
        tokens, texts = pair[1], [tokenizer.decode([token]) for token in pair[1]]
        found[label] = answer_entropies(model, [pair])[0]
    return texts, found
