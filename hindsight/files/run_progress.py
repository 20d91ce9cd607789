"""The progress of a run: answers, tokens, rate, verdicts, read from its files while other processes write them.

The sampling scripts write an answer's file once, so its modification time is the time of the answer. The rate is that
of the last `RECENT` answers, except those before the last start of the sampling script: a resumed run has pauses. While
the run is not complete the window reaches until now, so the rate of a run that hangs falls from look to look.
"""

import datetime
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hindsight.errors import BrokenFile
from hindsight.files.answer_files import converted_path, existing_samples, read_no_answers, sample_keys, sample_path
from hindsight.files.records import read_record
from hindsight.files.runs import RUN_FILE, alpha_of_run, raw_folder, read_run
from hindsight.files.sample_locks import is_locked
from hindsight.files.verdicts import Outcome, verdict_name

RECENT = 1000  # the rate covers at most this many answers
SILENT = 60.0  # seconds without an answer after which a run whose locks are free counts as stopped
COMPLETE, RUNNING, STOPPED, UNKNOWN = "complete", "running", "stopped", "unknown"

Key = tuple[int, int]  # question_id, sample_index


@dataclass(frozen=True)
class RunProgress:
    """One look at a run. None: unknown. An unknown number is never given as zero."""

    run: str  # the folder
    time: str  # of the look
    sampling: str  # complete, running (a process holds a lock in it), stopped or unknown
    model: str | None
    alpha: str | None
    done: int  # whole answers
    wanted: int | None  # by the last call of the sampling script: problems of all shards, times NUM_SAMPLES
    missing: int | None  # of these
    others: int | None  # answers beyond these, such as those of another range of problems
    broken: int  # files that are incomplete; step 1 counts them as missing
    failed: int | None  # samples that failed in the last call of the sampling script, known at its end
    completion_tokens: int | None  # of the answers that record their tokens
    without_tokens: int  # answers that do not
    answers_per_second: float | None
    tokens_per_second: float | None
    seconds_left: int | None  # at this rate
    last_answer: str | None  # its time
    converted: int
    no_answer: int  # by step 2
    checked: int  # answers with a verdict
    verdicts: dict[str, int]  # the most frequent first


class Sampled(NamedTuple):
    """An answer's file. time: in seconds, None without a raw file; tokens: None if it records none."""

    time: float | None
    tokens: int | None
    whole: bool


class Converted(NamedTuple):
    """A converted answer's file. state: its modification time and size; verdict: as `verdicts.verdict_name`."""

    state: tuple[int, int]
    tokens: int | None
    verdict: str


class _Usage(msgspec.Struct):
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    """The keys of an answer file that are decoded."""

    usage: _Usage | None = None
    correctness: bool | msgspec.UnsetType | None = msgspec.UNSET
    correctness_reason: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class RunWatch:
    """A run folder that is looked at again and again; each look reads only the files that are new or have changed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._sampled: dict[Key, Sampled] = {}
        self._converted: dict[Key, Converted] = {}

    def look(self, now: float | None = None) -> RunProgress:
        """How far the run is. now: seconds since the epoch.

        Raises UserError if its run.json is broken, FileNotFoundError if the folder vanishes.
        """
        now = time.time() if now is None else now
        run, raw = read_run(self.folder), raw_folder(self.folder)
        self._read_converted()
        self._read_sampled(raw)
        answers = {key: each for key, each in self._sampled.items() if each.whole}
        counts = _count(answers, run)
        last = max((each.time for each in answers.values() if each.time), default=None)
        sampling = COMPLETE if counts["missing"] == 0 else _activity(raw, last, now)
        end = now if sampling in (RUNNING, UNKNOWN) else last
        return RunProgress(
            run=str(self.folder),
            time=_iso(now),
            sampling=sampling,
            model=_model(run),
            alpha=alpha_of_run(run),
            broken=len(self._sampled) - len(answers),
            last_answer=None if last is None else _iso(last),
            **counts,
            **_speed(recent_rate(answers.values(), _last_start(run), end), counts["missing"], sampling),
            **self._verdicts(),
        )

    def _verdicts(self) -> dict[str, Any]:
        verdicts = Counter(each.verdict for each in self._converted.values())
        checked = len(self._converted) - verdicts.pop(str(Outcome.UNCHECKED), 0)
        no_answer = len(read_no_answers(self.folder))
        counts = {"converted": len(self._converted), "no_answer": no_answer, "checked": checked}
        return {**counts, "verdicts": dict(verdicts.most_common())}

    def _read_converted(self) -> None:
        """Reads the converted answers that are new or have changed; an incomplete file is no converted answer."""
        before, self._converted = self._converted, {}
        for key in sample_keys(existing_samples(self.folder, "converted"), without={}):
            path = converted_path(self.folder, *key)
            try:
                state = _state(path.stat())
                known = before.get(key)
                if known is None or known.state != state:
                    record = _read(path)
                    known = Converted(state, _tokens(record), verdict_name({"converted_text": "", **record}))
                self._converted[key] = known
            except (FileNotFoundError, BrokenFile):
                continue

    def _read_sampled(self, raw: Path) -> None:
        """Reads the new raw answers; of those that are converted only the times, as the copies hold the tokens."""
        before, self._sampled = self._sampled, {}
        for key in sample_keys(existing_samples(raw, "sample"), without={}):
            path, copy, known = sample_path(raw, *key), self._converted.get(key), before.get(key)
            try:
                if known is None or not known.whole:
                    written = path.stat().st_mtime
                    known = Sampled(written, copy.tokens if copy else _tokens(_read(path)), True)
                self._sampled[key] = known
            except FileNotFoundError:
                continue
            except BrokenFile:
                self._sampled[key] = Sampled(None, None, False)
        for key, copy in self._converted.items():
            self._sampled.setdefault(key, Sampled(None, copy.tokens, True))


class Rate(NamedTuple):
    """Answers and tokens per second; tokens: None if an answer of the window does not record its tokens."""

    answers: float
    tokens: float | None


def recent_rate(answers: Iterable[Sampled], start: float | None, end: float | None, most: int = RECENT) -> Rate | None:
    """The rate of the last `most` answers that came after `start`, up to `end`; None for none, or no time at all.

    start: of the sampling script, None if unknown: then the first answer begins the window and does not count.
    """
    timed = sorted(((each.time, each.tokens) for each in answers if each.time is not None), key=lambda each: each[0])
    begins = [time for time in (timed[-most - 1][0] if len(timed) > most else None, start) if time is not None]
    if not timed or end is None:
        return None
    begin = max(begins) if begins else timed[0][0]
    tokens = [number for time, number in timed if begin < time <= end]
    seconds = end - begin
    if not tokens or seconds <= 0:
        return None
    known = [number for number in tokens if number is not None]
    return Rate(len(tokens) / seconds, sum(known) / seconds if len(known) == len(tokens) else None)


def is_run(folder: Path) -> bool:
    """Whether a folder is a run: it has a run.json, raw or converted answers."""
    return (folder / RUN_FILE).exists() or any(existing_samples(folder, kind) for kind in ("sample", "converted"))


def _count(answers: dict[Key, Sampled], run: dict[str, Any]) -> dict[str, Any]:
    """The counts of whole answers, and of those that the last call of the sampling script wanted."""
    tokens = [each.tokens for each in answers.values() if each.tokens is not None]
    questions = (run.get("problems") or {}).get("question_ids")
    samples = (run.get("settings") or {}).get("num_samples")
    wanted = missing = others = None
    if isinstance(questions, list) and isinstance(samples, int):
        chosen = set(questions)
        there = sum(question in chosen and index < samples for question, index in answers)
        wanted = len(chosen) * samples
        missing, others = wanted - there, len(answers) - there
    return {
        "done": len(answers),
        "wanted": wanted,
        "missing": missing,
        "others": others,
        "failed": sum(run["failed"].values()) if isinstance(run.get("failed"), dict) else None,
        "completion_tokens": sum(tokens) if tokens or not answers else None,
        "without_tokens": len(answers) - len(tokens),
    }


def _speed(rate: Rate | None, missing: int | None, sampling: str) -> dict[str, Any]:
    if rate is None:
        return {"answers_per_second": None, "tokens_per_second": None, "seconds_left": None}
    left = None if missing is None or sampling == STOPPED else round(missing / rate.answers)
    return {"answers_per_second": rate.answers, "tokens_per_second": rate.tokens, "seconds_left": left}


def _activity(folder: Path, last: float | None, now: float) -> str:
    """Whether somebody samples in a folder, by its locks; if these do not tell, by the age of the last answer."""
    locked = is_locked(folder)
    if locked:
        return RUNNING
    silent = last is None or now - last > SILENT
    return STOPPED if locked is False and silent else UNKNOWN


def _last_start(run: dict[str, Any]) -> float | None:
    """When the sampling script was last started in the folder, in seconds since the epoch; None if unknown."""
    started = run.get("resumed") or run.get("started")
    return datetime.datetime.fromisoformat(started).timestamp() if started else None


def _model(run: dict[str, Any]) -> str | None:
    """The names of the models that answer, as the servers know them."""
    return " and ".join(map(str, run.get("models") or ())) or None


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> dict[str, Any]:
    """The decoded keys of an answer file. Raises FileNotFoundError, and BrokenFile as `records.read_record` does."""
    content = path.read_bytes()
    try:
        record = _decode(content)
    except (msgspec.MsgspecError, ValueError):  # broken, or what only Python's JSON reader accepts
        return read_record(path)
    verdict = {"correctness": record.correctness, "correctness_reason": record.correctness_reason}
    checked = record.correctness is not msgspec.UNSET
    return {"usage": {"completion_tokens": record.usage and record.usage.completion_tokens}} | (
        verdict if checked else {}
    )


def _tokens(record: dict[str, Any]) -> int | None:
    usage = record.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else None
