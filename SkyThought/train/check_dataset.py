"""Checks that in training LLaMA-Factory will read a dataset as step 4 intended.

It uses LLaMA-Factory's own argument parser, loader, template and tokenizer, so it runs in LLaMA-Factory's environment;
it needs no GPU and loads no weights. The arguments are those of `llamafactory-cli train`:

    .venv-train/bin/python SkyThought/train/check_dataset.py SkyThought/train/lab_cpu.yaml [key=value ...]

All rows of `dataset` and `eval_dataset` must be read, and none cut off by `cutoff_len`. In EXAMPLES rows of each, the
tokens must be the chat of the row's system message, question and answer in the template, and the trained part (the
labels that are not masked) must be the whole answer with the end of its turn, and nothing of the prompt.

This script also reads the rows from the files, in the two forms that step 4 writes, without dataset_info.json:

    {"system": "...", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}
    {"messages": [{"role": "system", "content": "..."}, {"role": "user", ...}, {"role": "assistant", ...}]}

Exit status: 0 all rows are read as intended; 1 a row is not (the check names the row and the difference); 2 bad usage
or input.
"""

import contextlib
import copy
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

EXAMPLES = 100  # rows of a dataset that are decoded and compared, evenly spread
SHOWN = 3  # sentences about single rows to print at most; the others are counted

DATASETS = {"dataset": "train_dataset", "eval_dataset": "eval_dataset"}  # settings, and LLaMA-Factory's names
ANSWER = "ANSWER"  # stands for an answer, to find what a template puts around it
UNCUT = 10**9  # a cutoff_len that no row reaches
MASKED = -100  # label of a token that is not trained on
ADVICE = {
    "dataset": "run convert_to_data.py",
    "eval_dataset": "give convert_to_data.py --validation 0.1, or remove eval_dataset and eval_strategy",
}
NAMES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant"}  # roles by ShareGPT's names

# Settings of the machine do not change how a dataset is read; LLaMA-Factory refuses some without a GPU or torchrun.
OF_THE_MACHINE = ("deepspeed", "fsdp", "fsdp_config", "bf16", "fp16", "tf32", "pure_bf16", "fp8")


class BadInput(Exception):
    """The input cannot be checked; the message is the one sentence to print."""


class Chat(NamedTuple):
    """The content of a row; `system` is empty without a system message."""

    system: str
    question: str
    answer: str


class Reading(NamedTuple):
    """A dataset's rows of tokens as training reads them, the same without a cutoff, and the chats in its file."""

    rows: Any
    uncut: Any
    chats: list[Chat]


def main() -> int:
    settings = read_command_line(sys.argv[1:])
    chats = {key: read_chats(settings, key) for key in DATASETS if settings.get(key)}
    with contextlib.redirect_stdout(io.StringIO()):  # LLaMA-Factory prints the first example as numbers
        tokenizer, template, cutoff, rows, uncut = read_as_training(settings)
    readings = {settings[key]: Reading(rows[DATASETS[key]], uncut[DATASETS[key]], chats[key]) for key in chats}
    faults = []
    for name, reading in readings.items():
        faults += check(name, reading, tokenizer, template, cutoff)
    show_first(readings[settings["dataset"]], tokenizer)
    for sentence in faults:
        print(f"wrong: {sentence}")
    if not faults:
        print(f"LLaMA-Factory reads {' and '.join(readings)} as intended")
    return 1 if faults else 0


def read_command_line(words: list[str]) -> dict[str, Any]:
    """The settings of the YAML file and of the words after it, as LLaMA-Factory reads them."""
    if not words or not words[0].endswith((".yaml", ".yml")) or not all("=" in word for word in words[1:]):
        raise BadInput("give a YAML file of llamafactory-cli train, then settings such as max_steps=3")
    if not Path(words[0]).is_file():
        raise BadInput(f"there is no file {words[0]}")
    os.environ.setdefault("LLAMAFACTORY_VERBOSITY", "ERROR")
    try:
        from llamafactory.hparams.parser import read_args
    except ImportError as error:
        raise BadInput(f"{sys.executable} has no LLaMA-Factory ({error}); use .venv-train/bin/python") from None
    settings = read_args()
    if "dataset" not in settings or "dataset_dir" not in settings:
        raise BadInput(f"{words[0]} names no dataset, or no dataset_dir")
    return {key: value for key, value in settings.items() if key not in OF_THE_MACHINE}


def read_as_training(settings: dict[str, Any]) -> tuple[Any, Any, int, Any, Any]:
    """The tokenizer, the template, `cutoff_len`, and LLaMA-Factory's datasets with it and without a cutoff.

    Raises BadInput when LLaMA-Factory refuses the settings or cannot read a dataset.
    """
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.model import load_tokenizer

    try:
        model_args, data_args, training_args = parse(settings)
        module = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
        uncut_args = copy.copy(data_args)
        uncut_args.cutoff_len = UNCUT
        rows, uncut = (tokenize(template, model_args, each, training_args, module) for each in (data_args, uncut_args))
    except Exception as error:  # of many types: KeyError for a missing column, RuntimeError when no row is left
        raise BadInput(f"LLaMA-Factory cannot read this: {type(error).__name__}: {first_line(error)}") from error
    return module["tokenizer"], template, data_args.cutoff_len, rows, uncut


def parse(settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    """LLaMA-Factory's model, data and training arguments, changed so that rows stay separate and nothing is written."""
    import transformers
    from llamafactory.hparams import get_train_args

    plain = {"val_size": 0, "packing": False, "eval_on_each_dataset": False, "overwrite_cache": True, "use_cpu": True}
    with tempfile.TemporaryDirectory() as folder:
        parsed = get_train_args({**settings, **plain, "output_dir": folder})
    transformers.utils.logging.set_verbosity_error()
    return parsed[:3]


def tokenize(template: Any, model_args: Any, data_args: Any, training_args: Any, tokenizer_module: Any) -> Any:
    """LLaMA-Factory's datasets, each row with `input_ids` and `labels`."""
    from llamafactory.data import get_dataset

    return get_dataset(template, model_args, data_args, training_args, stage="sft", **tokenizer_module)


def read_chats(settings: dict[str, Any], key: str) -> list[Chat]:
    """The chats in the files of one or several datasets (`a, b`), in order; at most `max_samples` of each, if set.

    Raises BadInput for a missing dataset or a row in neither of step 4's forms.
    """
    folder, chats = Path(settings["dataset_dir"]), []
    for name in (name.strip() for name in settings[key].split(",")):
        entry = read_json(folder / "dataset_info.json").get(name)
        if entry is None or "file_name" not in entry:
            raise BadInput(f"{folder / 'dataset_info.json'} has no dataset {name!r} with a file; {ADVICE[key]}")
        path = folder / entry["file_name"]
        rows = read_rows(path)[: settings.get("max_samples")]
        try:
            chats += [read_chat(row) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path} has a row in neither of step 4's forms ({type(error).__name__}: {error})") from None
    return chats


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"there is no {path}; run convert_to_data.py") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error})") from None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .json, .jsonl or .parquet file."""
    if path.suffix == ".json":
        return read_json(path)
    if not path.is_file():
        raise BadInput(f"there is no {path}; run convert_to_data.py")
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path).to_pylist()
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_chat(row: dict[str, Any]) -> Chat:
    """The chat of a row. Raises KeyError, TypeError or ValueError for a row in neither of step 4's forms."""
    if "messages" in row:
        turns = [(turn["role"], turn["content"]) for turn in row["messages"]]
    else:
        turns = [(NAMES[turn["from"]], turn["value"]) for turn in row["conversations"]]
        turns = [("system", row["system"]), *turns] if row.get("system") else turns
    roles = [role for role, _ in turns]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise ValueError(f"turns of {', '.join(roles)}")
    texts = [text for _, text in turns]
    return Chat(*texts) if len(texts) == 3 else Chat("", *texts)


def check(name: str, reading: Reading, tokenizer: Any, template: Any, cutoff: int) -> list[str]:
    """A sentence for each difference from what was intended; prints the number of rows and their lengths."""
    lengths = [len(tokens) for tokens in reading.uncut["input_ids"]]
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    print(
        f"{name}: {len(lengths)} rows of {min(lengths)} to {lengths[longest]} tokens "
        f"(the longest is row {longest}), {sum(lengths):,} in all; cutoff_len is {cutoff}"
    )
    if len(reading.rows) != len(reading.chats):
        return [
            f"{name} has {len(reading.chats)} rows, of which LLaMA-Factory keeps {len(reading.rows)}: it drops those "
            "whose roles are not the tags that dataset_info.json names"
        ]
    cut = sum(len(row) < length for row, length in zip(reading.rows["input_ids"], lengths, strict=True))
    faults = []
    if cut:
        faults.append(
            f"{cut} of {len(lengths)} rows of {name} are cut off at cutoff_len, {cutoff} tokens: with --cutoff_len and "
            "--tokenizer convert_to_data.py leaves such rows out"
        )
    step = max(1, len(lengths) / EXAMPLES)
    numbers = [int(number * step) for number in range(min(EXAMPLES, len(lengths)))]
    found = [(number, compare(reading.uncut[number], reading.chats[number], tokenizer, template)) for number in numbers]
    wrong = [f"row {number} of {name}: {fault}" for number, fault in found if fault]
    more = [f"the same holds for others: {len(wrong)} of {len(numbers)} examples of {name}"] if wrong[SHOWN:] else []
    print(f"{name}: {len(numbers) - len(wrong)} of {len(numbers)} examples are the intended chat")
    return faults + wrong[:SHOWN] + more


def compare(row: dict[str, list[int]], chat: Chat, tokenizer: Any, template: Any) -> str:
    """What is wrong with the tokens of a row; empty if nothing is."""
    from llamafactory.data.template import Template

    tokens, labels = row["input_ids"], row["labels"]
    begin = next((place for place, label in enumerate(labels) if label != MASKED), len(labels))
    if labels[begin:] != tokens[begin:]:
        return "the trained part is not one piece up to the end"
    turns = [{"role": "user", "content": chat.question}, {"role": "assistant", "content": ANSWER}]
    before, end = Template.encode_oneturn(template, tokenizer, turns, chat.system)  # without what a thought adds to it
    end += [tokenizer.eos_token_id] if template.efficient_eos else []
    prompt, learnt = decode(tokenizer, tokens[:begin]), decode(tokenizer, tokens[begin:])
    opening, _, ending = decode(tokenizer, end).partition(ANSWER)  # GLM's answers begin with a line end
    meant = decode(tokenizer, before), opening + chat.answer + ending
    if thought := compare_thoughts(
        (prompt, learnt), meant, decode(tokenizer, template.get_thought_word_ids(tokenizer))
    ):
        return thought
    if learnt != meant[1]:
        return f"the trained part is not the answer and its end, but {shorten(learnt)}"
    if prompt != meant[0] or chat.system not in prompt or chat.question not in prompt:
        return f"the prompt is not the row's system message and question, but {shorten(prompt)}"
    if not chat.system and template.default_system and not prompt.startswith(served_prompt(tokenizer, chat) or "\0"):
        return f"it has no system message, and the template adds its own: {shorten(template.default_system)}"
    return ""


def compare_thoughts(read: tuple[str, str], meant: tuple[str, str], empty: str) -> str:
    """What a reasoning template does to a row's prompt and answer, "" if nothing: `empty` is its empty thought."""
    if read in ((meant[0], empty + meant[1]), (meant[0] + empty, meant[1])):
        return (
            f"the template is for models that think and puts an empty thought, {empty!r}, before the answer: give "
            "convert_to_data.py --think_tags if its thoughts are in <think>, or use a template without thoughts"
        )
    if read[0] == meant[0] + empty:
        return "the thought is not trained on, because enable_thinking is false: remove that setting"
    return ""


def show_first(reading: Reading, tokenizer: Any) -> None:
    """Prints the first example and its trained part as text, and a note if a server's prompt will differ."""
    row, chat = reading.rows[0], reading.chats[0]
    begin = sum(label == MASKED for label in row["labels"])
    prompt, learnt = decode(tokenizer, row["input_ids"][:begin]), decode(tokenizer, row["input_ids"][begin:])
    print(f"\n=== the first row's prompt, {begin} tokens, not trained on\n{prompt}")
    print(f"=== trained on, {len(row['labels']) - begin} tokens\n{learnt}\n===")
    served = served_prompt(tokenizer, chat)
    if not (prompt + learnt).startswith(served):  # which may open the thought
        print(f"note: the checkpoint's chat template, which a server uses, gives a different prompt: {shorten(served)}")


def served_prompt(tokenizer: Any, chat: Chat) -> str:
    """The prompt that a server makes of a chat by the checkpoint's own chat template; "" if it has none."""
    if not tokenizer.chat_template:
        return ""
    messages = [{"role": "system", "content": chat.system}] if chat.system else []
    messages += [{"role": "user", "content": chat.question}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def decode(tokenizer: Any, tokens: list[int]) -> str:
    return tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def shorten(text: str) -> str:
    return repr(text if len(text) <= 300 else f"{text[:150]} ... {text[-150:]}")


def first_line(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BadInput as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        sys.exit(2)
