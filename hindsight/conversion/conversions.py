"""The raw answers that step 2 reads and the converted ones that it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.conversion.sections import Sections
from hindsight.errors import BrokenFile
from hindsight.files.answer_files import converted_path, sample_path
from hindsight.files.records import AnswerRecord, read_answer, write_json
from hindsight.text import few_shot
from hindsight.text.dialects import plain_dialect
from hindsight.text.program_choice import ProgramTarget, target_of
from hindsight.text.prompt_styles import stop_words_of
from hindsight.text.readable_code import with_readable_code
from hindsight.text.uniform_format import render

Key = tuple[int, int]  # question_id, sample_index


@dataclass(frozen=True)
class RawAnswer:
    """A raw answer.

    text: with uniform tags in place of harmony's markers, without the `dropped` special tokens at its ends, and with
    readable code (`rewritten` says how it was made so, "" if it was readable before); finished: it ended before the
    token limit; thought_open: it continues a thought that the prompt opened; target: what its problem asks for;
    code_alone: the prompt asked for code alone; the answer `continues` the end of that prompt, up to a word of `stop`.
    """

    key: Key
    record: AnswerRecord
    text: str
    finished: bool
    dropped: int
    thought_open: bool
    target: ProgramTarget
    code_alone: bool = False
    continues: str = ""
    stop: tuple[str, ...] = ()
    rewritten: str = ""


def raw_answer(key: Key, record: AnswerRecord) -> RawAnswer:
    """The raw answer in a record."""
    text, dropped = plain_dialect(record.get("generated_text", ""))
    finished, thought_open = record.get("finish_reason") != "length", record.get("thought_open") is True
    target = target_of(record.get("metadata"))
    if not str(record.get("prompt_style") or "").startswith(("evalplus", few_shot.STYLE)):
        text, rewritten = with_readable_code(text)
        return RawAnswer(key, record, text, finished, dropped, thought_open, target, rewritten=rewritten)
    continues, words = record.get("continues"), stop_words_of(record)
    if not isinstance(continues, str):
        raise BrokenFile(f"question {key[0]} sample {key[1]}: its prompt_style needs `continues`, a text")
    finished = finished or any(word in text for word in words)  # it continued after its end
    return RawAnswer(key, record, text, finished, dropped, thought_open, target, True, continues, words)


@dataclass(frozen=True)
class Conversion:
    """A raw answer's sections, and the `conversion` of its file: how they were found and the figures of the check."""

    sections: Sections
    details: dict[str, Any]


@dataclass(frozen=True)
class AnswerFiles:
    """The answers of a run: raw ones in `source`, converted ones in `output`."""

    source: Path
    output: Path

    def name(self, key: Key) -> str:
        """The name of a raw answer's file."""
        return sample_path(self.source, *key).name

    def read(self, key: Key) -> RawAnswer:
        """A raw answer. Raises BrokenFile if the file is not whole or its `generated_text` is not a text."""
        path = sample_path(self.source, *key)
        record = read_answer(path, ("generated_text",))
        if not isinstance(record.get("generated_text"), str):
            raise BrokenFile(f"{path}: generated_text is not a text")
        return raw_answer(key, record)

    def write(self, answer: RawAnswer, conversion: Conversion) -> None:
        """Writes a converted answer: the keys of the raw one, `converted_text` and `conversion`."""
        question_id, sample_index = answer.key
        text = render(conversion.sections.thought, conversion.sections.solution)
        numbers = {"question_id": question_id, "sample_index": sample_index}
        converted = {**numbers, **answer.record, "converted_text": text, "conversion": conversion.details}
        write_json(converted_path(self.output, *answer.key), converted)
