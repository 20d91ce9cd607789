"""Next-token entropy of a checkpoint along given answers: how open it is, at each token, about what comes next."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from hindsight.checkpoints import resolve_checkpoint
from hindsight.formats import BEGIN_THOUGHT
from hindsight.prompts import base_prompt
from hindsight.settings import UserError

OPENING = f"{BEGIN_THOUGHT}\n\n"  # what base and switching runs put into the prompt and keep in the answer


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of the distributions softmax(logits), over the last dimension, computed in float32.

    Between 0, one token is certain, and log V, all V tokens are alike. A token of logit -inf adds nothing.
    """
    log_shares = torch.log_softmax(logits.float(), dim=-1)
    return torch.special.entr(log_shares.exp()).sum(dim=-1)


def load_checkpoint(name: str, device: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model, in the dtype of its files, and its tokenizer. Raises UserError when they cannot be loaded."""
    logging.disable_progress_bar()
    folder: Path = resolve_checkpoint(name)
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device).eval()
        return model, AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise UserError(f"{name} cannot be loaded: {str(error).strip().splitlines()[0]}") from None


def context_and_answer(record: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The tokens of the prompt that an answer was made with, and those of the answer.

    A text prompt is taken as it was sent. Chat messages are rendered by the tokenizer's own chat template; where it
    has none, as a base model's, the prompt is the transcript that base models get. A switching answer has both
    prompts, and the chat is taken. An opening that was part of the prompt is part of the context, not of the answer.
    """
    prompt, answer, opening = record["prompt"], record["generated_text"], ""
    if isinstance(prompt, dict):
        prompt, opening = prompt["instruct"], OPENING
    if isinstance(prompt, list) and not tokenizer.chat_template:
        prompt, opening = base_prompt(record["metadata"]), ""
    if isinstance(prompt, list):
        chat = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        context = tokenizer.encode(chat, add_special_tokens=False)
        context += tokenizer.encode(opening, add_special_tokens=False)
    else:
        context = tokenizer.encode(prompt)
    if opening or (isinstance(prompt, str) and prompt.endswith(OPENING)):
        answer = answer.removeprefix(OPENING)
    return context, tokenizer.encode(answer, add_special_tokens=False)


@torch.inference_mode()
def answer_entropies(
    model: PreTrainedModel, pairs: list[tuple[list[int], list[int]]], padding: int = 0
) -> list[np.ndarray]:
    """For each (context, answer) of token ids, the entropy before each token of the answer: float32, [len(answer)].

    One batch, padded on the right. A context must have at least one token.
    """
    rows = [context + answer for context, answer in pairs]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), padding)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False).logits
    found = []
    for number, (context, answer) in enumerate(pairs):
        start = len(context) - 1  # the logits at a token are about the next one
        found.append(entropy(logits[number, start : start + len(answer)]).cpu().numpy())
    return found


def entropies_along(
    record: dict[str, Any], checkpoints: dict[str, Path], device: str = "cpu"
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The tokens of one answer as text, and the entropy before each by checkpoint; they must share a tokenizer."""
    tokens: list[str] = []
    found = {}
    for label, folder in checkpoints.items():
        model, tokenizer = load_checkpoint(str(folder), device)
        pair = context_and_answer(record, tokenizer)
        tokens = tokens or [tokenizer.decode([token]) for token in pair[1]]
        found[label] = answer_entropies(model, [pair])[0]
    return tokens, found
