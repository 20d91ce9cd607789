"""Converts the answers of a run by rules, in several processes, and counts what the rules cannot decide.

A process reads, converts and writes a chunk of answers and returns only counts and keys, so memory does not grow with
the texts.
"""

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from tqdm import tqdm

from hindsight.conversion.conversions import AnswerFiles, Conversion, Key, RawAnswer
from hindsight.conversion.fidelity import FidelityLimits, NotFaithful, check_fidelity
from hindsight.conversion.last_block import split_at_last_block
from hindsight.conversion.reader import read
from hindsight.conversion.sections import Undecided, close_code_block
from hindsight.errors import BrokenFile
from hindsight.files.worker_processes import in_processes

CHUNK = 64  # answers that a process gets at once
FEW = 256  # up to so many answers are converted in this process


@dataclass(frozen=True)
class RuleOptions:
    """How rules convert. `rules`: "never" leaves every answer to the reformatting model, which `has_model` announces.

    Without a model, an undecided answer is split at its last code block.
    """

    rules: str
    has_model: bool
    limits: FidelityLimits


@dataclass
class RuleCounts:
    """What rules made of answers: conversions per rule, reasons of the others, keys left to a model, and failures."""

    rules: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    undecided: list[Key] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # file name or message, reason

    def __len__(self) -> int:
        return sum(self.rules.values()) + len(self.undecided) + len(self.failed)

    def add(self, other: "RuleCounts") -> None:
        self.rules.update(other.rules)
        self.reasons.update(other.reasons)
        self.undecided += other.undecided
        self.failed += other.failed

    def report(self) -> str:
        """Lines with the number of answers per rule, and per reason why no rule could decide."""
        lines = [f"rules decided {sum(self.rules.values())} answers, {sum(self.reasons.values())} not"]
        lines += [f"  {count:>8,}  {rule}" for rule, count in self.rules.most_common()]
        lines += [f"  {count:>8,}  undecided: {reason}" for reason, count in self.reasons.most_common()]
        return "\n".join(lines)


def convert_by_rules(keys: list[Key], files: AnswerFiles, options: RuleOptions, workers: int) -> RuleCounts:
    """Converts and writes the answers that rules can decide. `workers` is the number of processes; 0: one per core."""
    counts, chunks = RuleCounts(), (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
    workers = 1 if len(keys) <= FEW else workers or os.cpu_count() or 1
    with tqdm(total=len(keys), unit="answer", desc="rules") as bar:
        for part in in_processes(partial(convert_chunk, files=files, options=options), chunks, workers):
            counts.add(part)
            bar.update(len(part))
    return counts


def convert_chunk(keys: list[Key], files: AnswerFiles, options: RuleOptions) -> RuleCounts:
    """As `convert_by_rules`, in this process."""
    counts = RuleCounts()
    for key in keys:
        try:
            answer = files.read(key)
            if options.rules == "never":
                counts.undecided.append(key)
                continue
            conversion = convert_answer(answer, options)
        except BrokenFile as error:
            counts.failed.append((str(error), "a broken file"))
        except (Undecided, NotFaithful) as error:
            counts.reasons[str(error)] += 1
            if options.has_model and not (isinstance(error, Undecided) and error.lost):
                counts.undecided.append(key)
            else:
                counts.failed.append((files.name(key), str(error)))
        else:
            counts.rules[conversion.sections.rule] += 1
            files.write(answer, conversion)
    return counts


def convert_answer(answer: RawAnswer, options: RuleOptions) -> Conversion:
    """A raw answer's conversion by rules. Raises Undecided if no rule can split it, NotFaithful if the check fails."""
    try:
        sections = read(answer.text, answer.finished, thought_open=answer.thought_open, target=answer.target)
    except Undecided as error:
        sections = None if error.lost or options.has_model else split_at_last_block(answer.text, answer.target)
        if sections is None:
            raise
    sections = replace(sections, solution=close_code_block(sections.solution))
    text = answer.text.rstrip().removesuffix(sections.left_out).replace(sections.repeated, "", 1)
    details = {"how": "rules", "rule": sections.rule, **check_fidelity(text, sections, options.limits, answer.target)}
    counts = {"left_out": len(sections.left_out), "special_tokens": answer.dropped}
    return Conversion(sections, details | {name: count for name, count in counts.items() if count})
