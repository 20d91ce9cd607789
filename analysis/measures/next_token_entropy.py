"""Next-token entropy along existing answers: how uncertain a checkpoint is about the next token, at every token.

tokens, entropies = entropies_along(record, {
    "base": "lab/models/base",                                         # a folder or a Hub name
    "alpha 0.7": ("lab/models/base", "lab/models/instruct", 0.7),      # merged in memory; see `Merge`
})
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import torch
import transformers

from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.checkpoints import resolve_checkpoint
from hindsight.merging.in_memory import pair_merging
from hindsight.merging.plan import MergePlan, plan_merge
from hindsight.merging.safetensors_files import TensorReader
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import BEGIN_THOUGHT

OPENING = f"{BEGIN_THOUGHT}\n\n"  # base and switching runs have it in the prompt and again in the answer
LOGITS = 1 << 27  # logits in memory at once
FLOAT32_LOGITS = 1 << 24  # logits converted to float32 at once

# While transformers loads a model, it changes torch for all threads: of two loaded at once, one got random weights.
LOADING = threading.Lock()

TokenPair = tuple[list[int], list[int]]  # tokens of a context and of the answer that follows it


class Merge(NamedTuple):
    """A model merged in memory: its two parents (folders or Hub names), alpha in [0, 1], and the method."""

    base: str | Path
    finetuned: str | Path
    alpha: float
    method: str = "lerp"


Source = str | Path | tuple  # a checkpoint's folder or Hub name, or the arguments of a Merge


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of the distributions softmax(logits), over the last dimension, computed in float32.

    `logits` may have any dtype, [..., V]. The entropy is 0 if one token is certain, and log V if all V tokens are
    equally likely. A token with logit -inf adds nothing.
    """
    rows = logits.reshape(-1, logits.shape[-1])
    parts = [_entropy(part) for part in rows.split(max(1, FLOAT32_LOGITS // rows.shape[-1]))]
    return torch.cat(parts).reshape(logits.shape[:-1])


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    """log S - sum(e^z z) / S with z = logits - max(logits) and S = sum(e^z); neither term is negative.

    The usual sum over `log_softmax` rounds after each term, and would lose many small probabilities beside a large one.
    """
    below = logits.float()
    below = (below - below.amax(dim=-1, keepdim=True)).clamp_min_(-1000)  # e^-1000 is 0, and 0 * -inf would be nan
    powers = below.exp()
    total = powers.sum(dim=-1)
    return total.log() - powers.mul_(below).sum(dim=-1) / total


def load_checkpoint(
    source: Source, device: str = "cpu"
) -> "tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]":
    """Loads a model and its tokenizer. Raises UserError if they cannot be loaded or merged.

    A merged model has the same weights as from merge_models.py, bit for bit, and the fine-tuned model's config,
    tokenizer and chat template; nothing is written. Models compute in the dtype of their files, except on a CPU:
    there they compute in float32, with the same weights, because bfloat16 takes several times as long. Threads that
    load models wait for one another.
    """
    transformers.utils.logging.disable_progress_bar()
    merge = Merge(*source) if isinstance(source, tuple) else None
    try:
        with LOADING:
            if merge:
                plan = plan_merge(merge.base, merge.finetuned)
                folder, model = plan.finetuned.tokenizer_folder, _merged_model(plan, merge)
            else:
                folder = resolve_checkpoint(str(source))
                model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        on_cpu = torch.device(device).type == "cpu"
        model = model.float() if on_cpu else model.to(device)  # type: ignore  (transformers decorates `to` without self)
        return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, AssertionError) as error:  # the last two: of a device that is missing
        name = merge.finetuned if merge else source
        raise UserError(f"{name} cannot be loaded: {str(error).strip().splitlines()[0]}") from None


def _merged_model(plan: MergePlan, merge: Merge) -> "transformers.PreTrainedModel":
    with pair_merging(AlphaRule(merge.alpha), merge.method) as merge_pair, TensorReader() as reader:
        both = ((pair, reader.read_whole(pair.leading), reader.read_whole(pair.other)) for pair in plan.pairs)
        weights = {pair.name: merge_pair(pair, leading, other) for pair, leading, other in both}
    config = type(transformers.AutoConfig.from_pretrained(plan.finetuned.folder)).from_dict(plan.config)
    with torch.device("meta"):  # builds the model without weights, only to find its class
        model_class = type(transformers.AutoModelForCausalLM.from_config(config))
    return model_class.from_pretrained(None, config=config, state_dict=weights, dtype="auto")


def context_and_answer(
    record: dict[str, Any], tokenizer: "transformers.PreTrainedTokenizerBase", transcript: bool = False
) -> TokenPair:
    """The tokens of an answer's prompt, and the tokens of the answer.

    A text prompt is used as it was sent. Chat messages are rendered by the tokenizer's chat template. If it has none,
    or with `transcript`, the prompt is the transcript that base models get, built from the record's `metadata`. A
    switching answer has both prompts, and the chat is used. An opening that was part of the prompt belongs to the
    context, not to the answer. If the prompt has no tokens, the answer's first token is the context.

    Raises UserError if the template rejects the messages, or if the record has no `metadata` for a transcript.
    """
    prompt, answer, opening = record["prompt"], record["generated_text"], ""
    if isinstance(prompt, dict):
        prompt, opening = prompt["instruct"], OPENING
    if isinstance(prompt, list) and (transcript or not tokenizer.chat_template):
        if "question" not in (record.get("metadata") or {}):
            raise UserError(f"{tokenizer.name_or_path} needs a transcript, but an answer lacks `metadata` to build it")
        prompt, opening = Prompts().transcript(record["metadata"]), ""
    if isinstance(prompt, list):
        context = tokenizer.encode(_render(prompt, tokenizer), add_special_tokens=False)
        context += tokenizer.encode(opening, add_special_tokens=False)
    else:
        context = tokenizer.encode(prompt)
    if opening or (isinstance(prompt, str) and prompt.endswith(OPENING)):
        answer = answer.removeprefix(OPENING)
    tokens = tokenizer.encode(answer, add_special_tokens=False)
    return (context, tokens) if context else (tokens[:1], tokens[1:])


def _render(messages: list[dict[str, str]], tokenizer: "transformers.PreTrainedTokenizerBase") -> str:
    begun = messages[-1].get("role") == "assistant"  # the prompt began the answer
    try:
        rendered = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
        )
        return str(rendered)
    except jinja2.TemplateError as error:
        raise UserError(f"the chat template of {tokenizer.name_or_path} rejects the prompt: {error}") from None


def answer_entropies(
    model: "transformers.PreTrainedModel",
    pairs: Sequence[TokenPair],
    batch_tokens: int = 16384,
    progress: Callable[[int], object] = lambda answers: None,
) -> list[np.ndarray]:
    """For each (context, answer) of token ids, the entropy before each token of the answer: float32, [len(answer)].

    Texts of similar length are read together, the longest first. A batch has at most `batch_tokens` tokens with
    padding, or one text. `progress` gets the number of texts just read. A context must have at least one token.
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
def _read_batch(model: "transformers.PreTrainedModel", pairs: list[TokenPair]) -> list[np.ndarray]:
    """The entropies of one batch, padded on the right.

    The model reads a slice of positions at a time, with the cached keys and values of earlier slices, like a server's
    chunked prefill. At most LOGITS logits exist at once, or those of one position, for texts of any length.
    """
    longest = max(len(context) + len(answer) for context, answer in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    mask, before_answer = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for number, (context, answer) in enumerate(pairs):
        length = len(context) + len(answer)
        ids[number, :length], mask[number, :length] = torch.tensor(context + answer), 1
        before_answer[number, len(context) - 1 : length - 1] = True  # a token's logits predict the next token
    ids, mask, before_answer = (each.to(model.device) for each in (ids, mask, before_answer))
    step = max(1, LOGITS // (len(pairs) * model.config.get_text_config().vocab_size))
    values, cache = torch.zeros(ids.shape, device=model.device), None
    for start in range(0, longest, step):
        part = slice(start, min(start + step, longest))
        read = model(ids[:, part], attention_mask=mask[:, : part.stop], past_key_values=cache, use_cache=step < longest)
        cache = read.past_key_values
        values[:, part][before_answer[:, part]] = entropy(read.logits[before_answer[:, part]])
    return [row[chosen].cpu().numpy() for row, chosen in zip(values, before_answer, strict=True)]


def sum_entropies(answers: Sequence[Any], source: Source) -> list[tuple[float, int]]:
    """For each answer, the sum of its next-token entropies in nats, and its number of tokens; on one thread."""
    torch.set_num_threads(1)  # other processes compute at the same time
    model, tokenizer = load_checkpoint(source)
    found = answer_entropies(model, [context_and_answer(answer, tokenizer) for answer in answers])
    return [(float(values.sum()), len(values)) for values in found]


def entropies_along(
    record: dict[str, Any], checkpoints: Mapping[str, Source]
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The tokens of one answer as text, and for each checkpoint's label the entropy before each token.

    A checkpoint is a folder, a Hub name, or (base, fine-tuned, alpha[, method]), merged in memory. Raises UserError
    if two checkpoints split the answer into different tokens, since their entropies could not be compared.
    """
    tokens: list[int] = []
    texts: list[str] = []
    found = {}
    for label, source in checkpoints.items():
        model, tokenizer = load_checkpoint(source)
        pair = context_and_answer(record, tokenizer)
        if found and pair[1] != tokens:
            raise UserError(f"{label} splits the answer into tokens other than those of {next(iter(found))}")
        tokens, texts = pair[1], [str(tokenizer.decode([token])) for token in pair[1]]
        found[label] = answer_entropies(model, [pair])[0]
    return texts, found
