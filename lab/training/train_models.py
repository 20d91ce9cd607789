"""Trains the lab's two models from nothing: a base model, and from it an instruct model. Minutes on two CPU cores.

Reads the corpora of `lab.training.corpus`; writes two checkpoints, `base` and `instruct`, in bfloat16 with their tokenizer. A
checkpoint that is there is kept, so a killed run goes on with the next one; `--again` trains both anew. Seed 0 is the
lab's own pair; those of other seeds go into folders of their own, `seed_1` and so on.

All is computed in float32: on processors without bfloat16 instructions that is the quickest, and on all it is the same.

    python -m lab.training.train_models --output_dir lab/models
    python -m lab.training.train_models --output_dir lab/models --seed 1
"""

import random
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hindsight.settings import run_script
from lab.training.corpus import CAREFUL_SHARE, Document, base_documents, instruct_documents
from lab.training.muon import Muon
from lab.training.tokens import END_OF_TEXT, END_OF_TURN, encode, train_tokenizer

# fmt: off
OUTPUT_DIR = "lab/models"   # folder of the checkpoints `base` and `instruct`
AGAIN = False               # train checkpoints that are there anew
SEED = 0                    # seed of weights and corpora
CAREFUL = CAREFUL_SHARE     # share of the base corpus whose authors do what is asked
HIDDEN_SIZE = 160           # width, a multiple of 32, the size of a head
LAYERS = 4                  # transformer layers
VOCABULARY = 2048           # tokens of the tokenizer
TOKENIZER_DOCUMENTS = 6000  # documents of the base corpus that the tokenizer is trained on
BASE_STEPS = 450            # optimizer steps of the base model
BASE_RATE = 4e-3            # its highest learning rate
INSTRUCT_STEPS = 60         # optimizer steps of the instruct model
INSTRUCT_RATE = 1e-3        # its highest learning rate
BATCH_TOKENS = 4096         # tokens of a batch, padding included
THREADS = 1                 # CPU threads; another number may give slightly other weights
# fmt: on

HEAD_SIZE = 32
LONGEST = 1024  # positions of the models


def main(settings) -> int:
    torch.set_num_threads(settings.threads)
    output = Path(settings.output_dir) / (f"seed_{settings.seed}" if settings.seed else "")
    output.mkdir(parents=True, exist_ok=True)
    if is_missing(output / "base", settings):
        documents = base_documents(settings.seed, settings.careful)
        tokenizer = train_tokenizer(islice(documents, settings.tokenizer_documents), settings.vocabulary)
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(model_config(settings, tokenizer))
        documents = base_documents(settings.seed, settings.careful)
        train(settings, model, tokenizer, documents, settings.base_steps, settings.base_rate, "base")
        save(model, tokenizer, output / "base", [END_OF_TEXT])
    if is_missing(output / "instruct", settings):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(output / "base")
        model = LlamaForCausalLM.from_pretrained(output / "base", dtype=torch.float32)
        documents = instruct_documents(settings.seed)
        train(settings, model, tokenizer, documents, settings.instruct_steps, settings.instruct_rate, "instruct")
        save(model, tokenizer, output / "instruct", [END_OF_TURN, END_OF_TEXT], tokenizer_from=output / "base")
    return 0


def is_missing(folder: Path, settings) -> bool:
    if (folder / "config.json").exists() and not settings.again:
        print(f"{folder} is there and kept")
        return False
    return True


def model_config(settings, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.hidden_size * 8 // 3 // 32 * 32,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.hidden_size // HEAD_SIZE,
        num_key_value_heads=settings.hidden_size // HEAD_SIZE,
        head_dim=HEAD_SIZE,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TEXT),
        pad_token_id=tokenizer.pad_token_id,
    )


def train(settings, model, tokenizer, documents: Iterator[Document], steps: int, rate: float, name: str) -> None:
    """Learns the documents; the rate rises over the first twentieth of the steps and falls to nothing."""
    start = time.monotonic()
    optimizers = make_optimizers(model, rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / (steps / 20 + 1), (steps - step) / (steps * 0.95))
        )
        for optimizer in optimizers
    ]
    batches = make_batches(documents, tokenizer, settings.batch_tokens, random.Random(f"{name} {settings.seed}"))
    model.train()
    seen, average = 0, None
    with tqdm(total=steps, desc=name, unit="step") as bar:
        for tokens, labels in islice(batches, steps):
            loss = loss_of(model, tokens, labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            seen += tokens.numel()
            average = loss.item() if average is None else 0.95 * average + 0.05 * loss.item()
            bar.set_postfix(loss=f"{average:.3f}")
            bar.update()
    print(f"{name}: {steps} steps, {seen} tokens, loss {average:.3f}, {time.monotonic() - start:.0f} s")


def loss_of(model, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross entropy of the labels that are learnt; scores are computed for these alone."""
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
    learnt = labels[:, 1:] != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[:, :-1][learnt]), labels[:, 1:][learnt])


def make_optimizers(model, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, which learn in half the steps by it; AdamW for the rest."""
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(hidden, lr=rate),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def make_batches(
    documents: Iterator[Document], tokenizer, batch_tokens: int, rng: random.Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of documents of like length, (tokens, labels) of shape [documents, length], padded on the right.

    A label of -100 is not learnt. No attention mask is needed: attention looks to the left, padding is on the right.
    """
    while True:
        chunk = [encode(tokenizer, document) for document in islice(documents, 1024)]
        chunk.sort(key=lambda pair: len(pair[0]))
        batches = [[]]
        for pair in chunk:
            if (len(batches[-1]) + 1) * len(pair[0]) > batch_tokens and batches[-1]:
                batches.append([])
            batches[-1].append(pair)
        rng.shuffle(batches)
        for batch in batches:
            length = max(len(tokens) for tokens, _ in batch)
            tokens = torch.full((len(batch), length), tokenizer.pad_token_id)
            labels = torch.full((len(batch), length), -100)
            for row, (ids, learnt) in enumerate(batch):
                tokens[row, : len(ids)] = torch.tensor(ids)
                labels[row, : len(ids)] = torch.tensor(learnt)
            yield tokens, labels


def save(model, tokenizer, folder: Path, ends: list[str], tokenizer_from: Path | None = None) -> None:
    """Writes a checkpoint to a temporary folder and renames it; `ends` are the tokens at which generation stops.

    The tokenizer's files are those of `tokenizer_from`, byte for byte: saved anew they would say how it was loaded.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    ids = tokenizer.convert_tokens_to_ids(ends)
    model.config.eos_token_id = ids if len(ids) > 1 else ids[0]
    model.generation_config = GenerationConfig(eos_token_id=ids, pad_token_id=tokenizer.pad_token_id)
    model.to(torch.bfloat16).save_pretrained(temporary)
    for path in tokenizer.save_pretrained(temporary):
        if tokenizer_from is not None and Path(path).exists():
            shutil.copyfile(tokenizer_from / Path(path).name, path)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


if __name__ == "__main__":
    run_script(main, globals())
