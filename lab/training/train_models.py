"""Trains the lab's base model from scratch, and the instruct model from it, in minutes on two CPU cores.

Learns the corpora of `lab.training.corpus`; writes two checkpoints, `base` and `instruct`, in bfloat16 with their
tokenizer. An existing checkpoint is kept, so a killed run resumes with the next one; `--again` trains both again. Seed
0 makes the lab's own pair; other seeds write into subfolders, `seed_1` and so on.

Everything is computed in float32: the fastest dtype on processors without bfloat16 instructions, and the same on all.

    python -m lab.training.train_models --output_dir lab/models
    python -m lab.training.train_models --output_dir lab/models --seed 1
"""

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import transformers
from tqdm import tqdm

from hindsight.settings import Settings, run_script
from lab.training.corpus import CAREFUL_SHARE, Document, base_documents, instruct_documents
from lab.training.muon import Muon
from lab.training.tokenizer import END_OF_TEXT, END_OF_TURN, PADDING, encode, train_tokenizer

# fmt: off
OUTPUT_DIR = "lab/models"   # folder of the checkpoints `base` and `instruct`
AGAIN = False               # train again where a checkpoint exists
SEED = 0                    # seed of weights and corpora
CAREFUL = CAREFUL_SHARE     # share of the base corpus whose authors do what is asked
HIDDEN_SIZE = 160           # width, a multiple of 32, the size of a head
LAYERS = 4                  # transformer layers
VOCABULARY = 2048           # tokens of the tokenizer
TOKENIZER_DOCUMENTS = 6000  # documents of the base corpus that the tokenizer is trained on
BASE_STEPS = 450            # optimizer steps of the base model
BASE_RATE = 4e-3            # the base model's highest learning rate
INSTRUCT_STEPS = 60         # optimizer steps of the instruct model
INSTRUCT_RATE = 1e-3        # the instruct model's highest learning rate
BATCH_TOKENS = 4096         # tokens of a batch, padding included
THREADS = 1                 # CPU threads; another number may give slightly different weights
# fmt: on

HEAD_SIZE = 32
# The number of positions of the models.
LONGEST = 1024
# A label that the loss ignores.
NOT_LEARNT = -100


@dataclass(frozen=True)
class Training:
    """One training: the model's name for people, its optimizer steps, highest learning rate, batch and seed."""

    name: str
    steps: int
    rate: float
    batch_tokens: int
    seed: int


def main(settings: Settings) -> int:
    torch.set_num_threads(settings.threads)
    output = Path(settings.output_dir) / (f"seed_{settings.seed}" if settings.seed else "")
    output.mkdir(parents=True, exist_ok=True)
    if is_missing(output / "base", settings.again):
        training = settings.pick(Training, name="base", steps=settings.base_steps, rate=settings.base_rate)
        documents = base_documents(settings.seed, settings.careful)
        tokenizer = train_tokenizer(islice(documents, settings.tokenizer_documents), settings.vocabulary)
        torch.manual_seed(settings.seed)
        model = transformers.LlamaForCausalLM(model_config(settings.hidden_size, settings.layers, tokenizer))
        train(model, tokenizer, base_documents(settings.seed, settings.careful), training)
        save(model, tokenizer, output / "base", [END_OF_TEXT])
    if is_missing(output / "instruct", settings.again):
        training = settings.pick(Training, name="instruct", steps=settings.instruct_steps, rate=settings.instruct_rate)
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(output / "base")
        model = transformers.LlamaForCausalLM.from_pretrained(output / "base", dtype=torch.float32)
        train(model, tokenizer, instruct_documents(settings.seed), training)
        save(model, tokenizer, output / "instruct", [END_OF_TURN, END_OF_TEXT], tokenizer_from=output / "base")
    return 0


def is_missing(folder: Path, again: bool) -> bool:
    """Whether a checkpoint has to be trained; prints that an existing one is kept."""
    if (folder / "config.json").exists() and not again:
        print(f"{folder} exists and is kept")
        return False
    return True


def model_config(
    hidden_size: int, layers: int, tokenizer: "transformers.PreTrainedTokenizerFast"
) -> "transformers.LlamaConfig":
    return transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=hidden_size // HEAD_SIZE,
        num_key_value_heads=hidden_size // HEAD_SIZE,
        head_dim=HEAD_SIZE,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=token_id(tokenizer, END_OF_TEXT),
        pad_token_id=token_id(tokenizer, PADDING),
    )


def token_id(tokenizer: "transformers.PreTrainedTokenizerFast", token: str) -> int:
    ids = tokenizer.convert_tokens_to_ids([token])
    assert isinstance(ids, list)
    return ids[0]


def train(
    model: "transformers.LlamaForCausalLM",
    tokenizer: "transformers.PreTrainedTokenizerFast",
    documents: Iterator[Document],
    training: Training,
) -> None:
    """Learns the documents. The learning rate rises over the first twentieth of the steps, then falls to zero."""
    start, steps = time.monotonic(), training.steps
    optimizers = make_optimizers(model, training.rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / (steps / 20 + 1), (steps - step) / (steps * 0.95))
        )
        for optimizer in optimizers
    ]
    rng = random.Random(f"{training.name} {training.seed}")
    batches = make_batches(documents, tokenizer, training.batch_tokens, rng)
    model.train()
    seen, average = 0, None
    with tqdm(total=steps, desc=training.name, unit="step") as bar:
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
    seconds = time.monotonic() - start
    print(f"{training.name}: {steps} steps, {seen} tokens, loss {average or 0:.3f}, {seconds:.0f} s")


def loss_of(model: "transformers.LlamaForCausalLM", tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross entropy of the learnt labels; logits are computed only for these."""
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
    learnt = labels[:, 1:] != NOT_LEARNT
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[:, :-1][learnt]), labels[:, 1:][learnt])


def make_optimizers(model: "transformers.LlamaForCausalLM", rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, which halves the steps they need; AdamW for the other parameters."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    return [Muon(matrices, lr=rate), torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)]


def make_batches(
    documents: Iterator[Document],
    tokenizer: "transformers.PreTrainedTokenizerFast",
    batch_tokens: int,
    rng: random.Random,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of documents of similar length: (tokens, labels) of shape [documents, length], padded on the right.

    No attention mask is needed: a token attends only to its left, and the padding is on the right.
    """
    while True:
        chunk = [encode(tokenizer, document) for document in islice(documents, 1024)]
        chunk.sort(key=lambda pair: len(pair[0]))
        batches: list[list[tuple[list[int], list[int]]]] = [[]]
        for pair in chunk:
            if (len(batches[-1]) + 1) * len(pair[0]) > batch_tokens and batches[-1]:
                batches.append([])
            batches[-1].append(pair)
        rng.shuffle(batches)
        for batch in batches:
            length = max(len(tokens) for tokens, _ in batch)
            tokens = torch.full((len(batch), length), token_id(tokenizer, PADDING))
            labels = torch.full((len(batch), length), NOT_LEARNT)
            for row, (ids, learnt) in enumerate(batch):
                tokens[row, : len(ids)] = torch.tensor(ids)
                labels[row, : len(ids)] = torch.tensor(learnt)
            yield tokens, labels


def save(
    model: "transformers.LlamaForCausalLM",
    tokenizer: "transformers.PreTrainedTokenizerFast",
    folder: Path,
    end_tokens: list[str],
    tokenizer_from: Path | None = None,
) -> None:
    """Writes a checkpoint to a temporary folder and renames it; generation stops at `end_tokens`.

    The tokenizer's files are copied from the checkpoint `tokenizer_from` if given: saving a loaded tokenizer would
    change them.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    ids = [token_id(tokenizer, token) for token in end_tokens]
    model.config.eos_token_id = ids if len(ids) > 1 else ids[0]
    model.generation_config = transformers.GenerationConfig(eos_token_id=ids, pad_token_id=token_id(tokenizer, PADDING))
    model.bfloat16().save_pretrained(temporary)
    for path in tokenizer.save_pretrained(temporary):
        if tokenizer_from is not None and Path(path).exists():
            shutil.copyfile(tokenizer_from / Path(path).name, path)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


if __name__ == "__main__":
    run_script(main, globals())
