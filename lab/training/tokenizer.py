"""The lab's tokenizer (byte-level BPE), and documents as tokens and labels.

The cost of a small model is its number of tokens. This BPE may merge across spaces up to the end of a clause or line,
which halves the tokens of a document. It may not merge beyond that, so a clause has the same tokens in any text.
"""

from collections.abc import Iterable

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from hindsight.text.uniform_format import BEGIN_SOLUTION, BEGIN_THOUGHT, END_SOLUTION, END_THOUGHT
from lab.training.corpus import Document

END_OF_TEXT, START_OF_TURN, END_OF_TURN, PADDING = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
TAGS = (BEGIN_THOUGHT, END_THOUGHT, BEGIN_SOLUTION, END_SOLUTION)  # one token each, but not special
CLAUSE = r"(?:(?![.,;:] |\n).)*(?:[.,;:] |\n+ *|$)"  # no token crosses the end of a clause (a stop and a space) or line
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_tokenizer(documents: Iterable[Document], vocabulary: int) -> "transformers.PreTrainedTokenizerFast":
    """A byte-level BPE tokenizer, lossless for every text, of `vocabulary` tokens; each digit is a token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(CLAUSE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [END_OF_TEXT, START_OF_TURN, END_OF_TURN, PADDING]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(TAGS),
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((plain_text(document) for document in documents), trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=PADDING,
        additional_special_tokens=[START_OF_TURN, END_OF_TURN],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def plain_text(document: Document) -> str:
    """A document without special tokens and tags, which BPE does not merge."""
    text = "\n".join([document.prompt, *(message["content"] for message in document.messages), document.answer])
    for tag in TAGS:
        text = text.replace(tag, "\n")
    return text


def encode(tokenizer: "transformers.PreTrainedTokenizerFast", document: Document) -> tuple[list[int], list[int]]:
    """The tokens of a document and its labels: the same tokens, but -100 in the prompt, which is not learnt."""
    if document.messages:
        messages = list(document.messages)
        prompt = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        end = END_OF_TURN
    else:
        prompt, end = document.prompt, END_OF_TEXT
    before = tokenizer.encode(prompt, add_special_tokens=False)
    after = [*tokenizer.encode(document.answer, add_special_tokens=False), tokenizer.convert_tokens_to_ids(end)]
    return before + after, [-100] * len(before) + after
