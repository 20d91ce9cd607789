"""Converting a folder's raw answers by rules, in several processes, and writing converted answers.

A rule's conversion is proved like a model's. A process reads, decides and writes a chunk of answers at a time, and
gives back counts and the keys of what no rule could decide, so that memory does not grow with the texts.
"""

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.conversion.proof import NotKept, prove
from hindsight.conversion.reader import by_convention, close_code, read
from hindsight.conversion.sections import Sections, Unread
from hindsight.errors import BrokenFile
from hindsight.files import answer_files, records
from hindsight.files.worker_processes import in_processes
from hindsight.settings import Settings
from hindsight.text.uniform_format import render

Key = tuple[int, int]  # question_id, sample_index
CHUNK = 64  # answers that a process gets at once
FEW = 256  # answers for which no other process is started


@dataclass
class Outcome:
    """What rules made of answers: conversions by rule, those that go to the LLM, those that failed, each with why."""

    rules: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    undecided: list[Key] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(self.rules.values()) + len(self.undecided) + len(self.failed)

    def add(self, other: "Outcome") -> None:
        self.rules.update(other.rules)
        self.reasons.update(other.reasons)
        self.undecided += other.undecided
        self.failed += other.failed

    def report(self) -> str:
        """How many answers each rule has decided, and why none could decide the others, in lines."""
        lines = [f"rules decided {sum(self.rules.values())} answers, {sum(self.reasons.values())} not"]
        lines += [f"  {count:>8,}  {rule}" for rule, count in self.rules.most_common()]
        lines += [f"  {count:>8,}  undecided: {reason}" for reason, count in self.reasons.most_common()]
        return "\n".join(lines)


def convert_by_rules(keys: list[Key], folder: Path, output: Path, settings: Settings) -> Outcome:
    """Converts the answers of a folder that rules can decide, and writes them.

    With a reformatting model in the settings, the others are its; without one, their last code block is the solution.
    """
    outcome, chunks = Outcome(), (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
    workers = 1 if len(keys) <= FEW else settings.workers or os.cpu_count() or 1
    work = partial(convert_chunk, folder=folder, output=output, settings=settings)
    with tqdm(total=len(keys), unit="answer", desc="rules") as bar:
        for part in in_processes(work, chunks, workers):
            outcome.add(part)
            bar.update(len(part))
    return outcome


def convert_chunk(keys: list[Key], folder: Path, output: Path, settings: Settings) -> Outcome:
    """The same for a few answers, in this process."""
    outcome = Outcome()
    for key in keys:
        path = answer_files.sample_path(folder, *key)
        try:
            record = records.read_record(path, ("generated_text",))
            if not isinstance(record["generated_text"], str):
                raise BrokenFile(f"{path}: its generated_text is no text")
            if settings.rules == "never":
                outcome.undecided.append(key)
                continue
            sections, figures = decide(record, settings)
        except BrokenFile as error:
            outcome.failed.append((str(error), "a broken file"))
        except (Unread, NotKept) as error:
            outcome.reasons[str(error)] += 1
            if settings.llm_model and not getattr(error, "lost", False):
                outcome.undecided.append(key)
            else:
                outcome.failed.append((path.name, str(error)))
        else:
            outcome.rules[sections.rule] += 1
            write_converted(output, key, record, sections, {"how": "rules", "rule": sections.rule, **figures})
    return outcome


def decide(record: dict[str, Any], settings: Settings) -> tuple[Sections, dict[str, Any]]:
    """The sections of a raw answer by rules, and the proof's figures. Raises Unread or NotKept when none decides."""
    text = record["generated_text"]
    try:
        sections = read(text, finished=record.get("finish_reason") != "length")
    except Unread as error:
        sections = None if error.lost or settings.llm_model else by_convention(text)
        if sections is None:
            raise
    sections = replace(sections, solution=close_code(sections.solution))
    answer = text.rstrip().removesuffix(sections.left_out)
    figures = prove(answer, sections, settings.min_kept, settings.max_new)
    return sections, figures | ({"left_out": len(sections.left_out)} if sections.left_out else {})


def write_converted(folder: Path, key: Key, record: dict[str, Any], sections: Sections, conversion: dict) -> None:
    """Writes a converted answer: the raw one's keys and two more."""
    numbers = dict(zip(("question_id", "sample_index"), key, strict=True))
    text = render(sections.thought, sections.solution)
    whole = {**numbers, **record, "converted_text": text, "conversion": conversion}
    records.write_json(answer_files.converted_path(folder, *key), whole)
