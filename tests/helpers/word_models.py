"""Pico models whose tokens are words, and next-token entropy by its definition."""

import pico
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

PROBLEM = {"question": "?", "input_output": "{}", "starter_code": "", "fn_name": None}
WORDS = ["<unk>", "hello", "world", "print", "(", ")", "a", "b", "c", "#", "user", "assistant", "system"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant "
CHAT = [{"role": "user", "content": "hello"}]


def make_tokenizer(template=TEMPLATE):
    """A tokenizer of words."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", chat_template=template)


def make_checkpoints(folder):
    """(base, fine-tuned, merged): two Llamas, the base without a chat template, and their merge at 0.7."""
    sizes = {"vocab_size": len(WORDS), "max_position_embeddings": 300, "initializer_range": 0.5}
    base, finetuned = pico.pair(folder, **sizes)
    make_tokenizer(None).save_pretrained(base)
    make_tokenizer().save_pretrained(finetuned)
    (merged,) = pico.merge_into(base, finetuned, folder / "merged", [0.7])
    return base, finetuned, merged


def plain_entropies(model, context, reply):
    """The entropy before each token of the reply by its definition: one token at a time, in float64."""
    found = []
    for place in range(len(reply)):
        with torch.no_grad():
            logits = model(torch.tensor([context + reply[:place]])).logits[0, -1].double()
        shares = torch.exp(logits) / torch.exp(logits).sum()
        found.append(float(-(shares * shares.log()).sum()))
    return found
