"""Converts the answers of a run by rules, in several processes, and counts what the rules cannot decide.

A process reads, converts and writes a chunk of answers and returns only counts and keys, so memory does not grow with
the texts.
"""

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from tqdm import tqdm

from hindsight.conversion.code_alone import convert_code_alone
from hindsight.conversion.conversions import AnswerFiles, Conversion, Key, RawAnswer
from hindsight.conversion.fidelity import FidelityLimits, NotFaithful, check_fidelity
from hindsight.conversion.last_block import split_at_last_block
from hindsight.conversion.reader import read
from hindsight.conversion.sections import CUT_IN_THOUGHT, Undecided, close_code_block
from hindsight.conversion.well_formed import without_headings
from hindsight.errors import BrokenFile
from hindsight.files.worker_processes import in_processes
from hindsight.text.uniform_format import without_cut_tag

CHUNK = 64  # answers that a process gets at once
FEW = 256  # up to this many answers are converted in this process


@dataclass(frozen=True)
class RuleOptions:
    """How rules convert. `rules`: "never" leaves every answer to the reformatting model; `has_model`: there is one.

    Without a model, an undecided answer is split at its program's code block, if that is clear.
    """

    rules: str
    has_model: bool
    limits: FidelityLimits


@dataclass
class RuleCounts:
    """What the rules did: conversions per rule, reasons for the other answers, keys left to a model, and failures.

    no_answer: the files that hold no answer, each with the reason: no program, or cut off before it by length. They
    count as wrong, and no model is asked. special_tokens: answers with leftover tokens at their ends.
    """

    rules: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    undecided: list[Key] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # file name or message, reason
    no_answer: dict[str, str] = field(default_factory=dict)
    special_tokens: int = 0

    def __len__(self) -> int:
        return sum(self.rules.values()) + len(self.undecided) + len(self.failed) + len(self.no_answer)

    def add(self, other: "RuleCounts") -> None:
        self.rules.update(other.rules)
        self.reasons.update(other.reasons)
        self.undecided += other.undecided
        self.failed += other.failed
        self.no_answer |= other.no_answer
        self.special_tokens += other.special_tokens

    def report(self) -> str:
        """Lines with the number of answers per rule, and per reason why no rule could decide."""
        decided, undecided = sum(self.rules.values()), sum(self.reasons.values())
        lines = [f"rules: {decided} answers converted, {undecided} undecided, {len(self.no_answer)} hold no answer"]
        no_answer = Counter(self.no_answer.values())
        for kind, counts in (("", self.rules), ("undecided: ", self.reasons), ("no answer: ", no_answer)):
            lines += [f"  {count:>8,}  {kind}{what}" for what, count in counts.most_common()]
        if self.special_tokens:
            lines.append(f"  {self.special_tokens:>8,}  of them had special tokens at their ends, which were dropped")
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
            if options.rules == "never" and not answer.code_alone:
                _require_end_of_thought(answer)
                counts.undecided.append(key)
                continue
            conversion = convert_answer(answer, options)
        except BrokenFile as error:
            counts.failed.append((str(error), "a broken file"))
        except (Undecided, NotFaithful) as error:
            if isinstance(error, Undecided) and error.lost:
                counts.no_answer[files.name(key)] = str(error)
                continue
            counts.reasons[str(error)] += 1
            if options.has_model:
                counts.undecided.append(key)
            else:
                counts.failed.append((files.name(key), str(error)))
        else:
            counts.rules[conversion.sections.rule] += 1
            counts.special_tokens += answer.dropped > 0
            files.write(answer, conversion)
    return counts


def _require_end_of_thought(answer: RawAnswer) -> None:
    """Raises Undecided if the token limit cut an answer off in its thought: a model would accept a draft."""
    try:
        read(answer.text, answer.finished, thought_open=answer.thought_open, target=answer.target)
    except Undecided as error:
        if str(error) == CUT_IN_THOUGHT:
            raise


def convert_answer(answer: RawAnswer, options: RuleOptions) -> Conversion:
    """A raw answer's conversion by rules. Raises Undecided if no rule can split it, NotFaithful if the check fails."""
    if answer.code_alone:
        return convert_code_alone(answer)
    try:
        sections = read(answer.text, answer.finished, thought_open=answer.thought_open, target=answer.target)
    except Undecided as error:
        sections = None if error.lost or options.has_model else split_at_last_block(answer.text, answer.target)
        if sections is None:
            raise
    sections = replace(sections, solution=close_code_block(sections.solution))
    text = answer.text if answer.finished else without_cut_tag(answer.text)
    text = without_headings(text) if sections.rule.startswith("headings") else text
    text = text.rstrip().removesuffix(sections.left_out).replace(sections.repeated, "", 1)
    details = {"how": "rules", "rule": sections.rule, **check_fidelity(text, sections, options.limits, answer.target)}
    counts = {"left_out": len(sections.left_out), "special_tokens": answer.dropped, "rewritten": answer.rewritten}
    return Conversion(sections, details | {name: count for name, count in counts.items() if count})
