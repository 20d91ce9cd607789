"""One HTML file of the answers of runs, to look at in a browser: found by problem, verdict, run and words.

Reads the raw and the converted answers of run folders, several side by side; writes OUTPUT, which holds all that it
needs and opens from the disk, without a server or a network. Answers that could not be converted are in it too.

    python analysis/view_samples.py --input_dirs runs/lab/alpha_0.7 runs/lab/instruct --output runs/lab/answers.html

What a model wrote is data in the file: packed (zlib, base64), unpacked a few answers at a time, and shown as text. The
same answers give the same bytes.
"""

import base64
import hashlib
import json
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script, and ours lie one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from analysis.reading.answers import verdict_of
from hindsight.conversion.sections import structure
from hindsight.errors import UserError, require
from hindsight.files import answer_files, records
from hindsight.files.runs import raw_folder, read_run
from hindsight.settings import Settings, run_script
from hindsight.text.code_blocks import PYTHON, CodeBlock, find_code_blocks

# fmt: off
INPUT_DIRS = ["runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct"]  # run folders
OUTPUT = "runs/lab/answers.html"  # the file to open in a browser
MAX_ANSWERS = 0                   # answers of each run, the first by problem and sample; 0: all
# fmt: on

PAGE, SCRIPT = Path(__file__).with_suffix(".html"), Path(__file__).with_suffix(".js")
# Characters of the answers that are packed and unpacked together
CHUNK = 400_000
TITLE = 80
# Keys of a record that are shown by themselves, or are a number for each token or test
SHOWN_APART = ("prompt", "generated_text", "converted_text", "segments", "test_results", "token_ids", "logprobs")
# Keys of a problem that are shown by themselves, or can be megabytes
PROBLEM_APART = ("question", "input_output", "solutions")


@dataclass(frozen=True)
class Run:
    """A run folder: `name` tells it from the others, `model` is the alpha of the merged model, or else the model.

    `files` are those of its first answers, `left_out` the number of the others.
    """

    name: str
    model: str
    files: dict[tuple[int, int], Path]
    left_out: int


@dataclass
class Page:
    """What the file holds: rows of the list, and the answers in packed chunks; `starts` has each chunk's first row."""

    rows: list[list[Any]] = field(default_factory=list)
    titles: dict[int, str] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    _answers: list[dict[str, Any]] = field(default_factory=list)
    _shared: dict[str, int] = field(default_factory=dict)
    _size: int = 0

    def add(self, run: int, record: dict[str, Any]) -> None:
        """Adds an answer of the run with that number."""
        question_id, question = record["question_id"], question_of(record)
        self.titles.setdefault(question_id, title_of(question))
        verdict = self.verdicts.setdefault(verdict_of(record), len(self.verdicts))
        self.rows.append([run, question_id, record["sample_index"], verdict, tokens_of(record)])
        answer = describe(record)
        for key, text in (("question", question), ("prompt", json.dumps(prompt_parts(record.get("prompt"))))):
            answer[key] = self._shared.setdefault(text, len(self._shared))
        self._answers.append(answer)
        self._size += len(record["generated_text"]) + len(record.get("converted_text") or "")
        if self._size > CHUNK:
            self.close_chunk()

    def close_chunk(self) -> None:
        """Packs the answers that were added since the last time."""
        if self._answers:
            self.starts.append(len(self.rows) - len(self._answers))
            self.chunks.append(pack({"shared": list(self._shared), "answers": self._answers}))
        self._answers, self._shared, self._size = [], {}, 0


def pack(value: Any) -> str:
    """JSON as base64 of its zlib stream: no character of it means anything in HTML."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode("ascii"))).decode("ascii")


def safe_json(value: Any) -> str:
    """JSON in ASCII that can stand in a script element: no `<` ends it or opens a comment in it."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def describe(record: dict[str, Any]) -> dict[str, Any]:
    """An answer as the page shows it. What is not text already becomes text here, where numbers keep their digits."""
    raw, converted = record["generated_text"], record.get("converted_text")
    results = [result for result in record.get("test_results") or [] if isinstance(result, dict)]
    failed = next((result for result in results if not result.get("passed")), None)
    rest = {key: value for key, value in record.items() if key not in SHOWN_APART}
    if isinstance(rest.get("metadata"), dict):
        rest["metadata"] = {key: value for key, value in rest["metadata"].items() if key not in PROBLEM_APART}
    return {
        "raw": {"text": raw, **anatomy(raw)},
        "converted": {"text": converted, **anatomy(converted)} if converted else None,
        "segments": segments_of(record),
        "reason": str(record.get("correctness_reason") or ""),
        "failed": failed and {key: as_text(value) for key, value in failed.items()},
        "passed": sum(bool(result.get("passed")) for result in results),
        "facts": [[name, as_text(value)] for name, value in facts(record).items() if value not in (None, "")],
        "record": json.dumps(rest, indent=2, ensure_ascii=False),
    }


def anatomy(text: str) -> dict[str, Any]:
    """Which characters of a text are what: `parts`, each a kind and its end; `thought`, its start and end or null.

    Kinds are "text", "tag", "fence", "python" and "code" (of another language); offsets are Python's.
    """
    tags = structure(text)
    marks = [(tag.start, tag.end, "tag") for tag in tags]
    for block in find_code_blocks(text):
        next_tag = next((tag.start for tag in tags if tag.start > block.start), block.end)
        marks += block_marks(text, block, next_tag)
    parts, end = [], 0
    for start, stop, kind in sorted(marks):
        if start >= end and stop > start:
            parts += [["text", start]] if start > end else []
            parts.append([kind, stop])
            end = stop
    parts += [["text", len(text)]] if end < len(text) else []
    opens = next((tag.end for tag in tags if tag.opens("thought")), None)
    closes = next((tag.start for tag in tags if tag.closes("thought") and tag.start >= (opens or 0)), None)
    if opens is None and closes is None:
        return {"parts": parts, "thought": None}
    return {"parts": parts, "thought": [opens or 0, len(text) if closes is None else closes]}


def block_marks(text: str, block: CodeBlock, next_tag: int) -> list[tuple[int, int, str]]:
    """The fences and the code of a block; code that is not closed ends at the next tag."""
    newline = text.find("\n", block.start, block.end)
    code = newline + 1 if newline >= 0 else block.end
    last = text.rfind("\n", code - 1, block.end) + 1 if block.closed else min(block.end, next_tag)
    kind = "python" if block.language in ("", *PYTHON) else "code"
    return [(block.start, code, "fence"), (code, last, kind), (last, block.end if block.closed else last, "fence")]


def segments_of(record: dict[str, Any]) -> list[list[Any]]:
    """Who wrote which characters of a switching answer: start, end, writer, tokens."""
    return [[each["start"], each["end"], each["model"], each.get("tokens")] for each in record.get("segments") or []]


def facts(record: dict[str, Any]) -> dict[str, Any]:
    """What is said of an answer in a line each."""
    config, usage, merged = (record.get(key) or {} for key in ("generation_config", "usage", "merged_from"))
    conversion, metadata = record.get("conversion") or {}, record.get("metadata") or {}
    writers = {name: part["model"] for name, part in config.items() if isinstance(part, dict) and "model" in part}
    alpha = f"{merged.get('base')} and {merged.get('finetuned')} at alpha {merged.get('alpha')}" if merged else None
    return {
        "model": config.get("model") or ", ".join(f"{name}: {model}" for name, model in writers.items()),
        "merged from": alpha,
        "seed": config.get("seed"),
        "finish reason": record.get("finish_reason"),
        "prompt tokens": usage.get("prompt_tokens"),
        "answer tokens": usage.get("completion_tokens"),
        "converted by": ", ".join(str(conversion[key]) for key in ("how", "rule", "model") if conversion.get(key)),
        "difficulty": metadata.get("difficulty"),
        "source": metadata.get("source"),
    }


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def question_of(record: dict[str, Any]) -> str:
    """The problem's statement."""
    return as_text((record.get("metadata") or {}).get("question") or "")


def title_of(question: str) -> str:
    """The first words of a problem, in one line."""
    words = " ".join(question.split())
    return words if len(words) <= TITLE else f"{words[:TITLE]}..."


def tokens_of(record: dict[str, Any]) -> int | None:
    """The answer's length, where the server told it."""
    return (record.get("usage") or {}).get("completion_tokens")


def prompt_parts(prompt: Any, heading: str = "") -> list[list[str]]:
    """A prompt as texts, each with its heading: its role, for a switching answer after the model it is for."""
    if isinstance(prompt, dict) and "content" not in prompt:
        return [part for model, own in prompt.items() for part in prompt_parts(own, f"{heading}{model} ")]
    if isinstance(prompt, list) and all(isinstance(message, dict) for message in prompt):
        return [part for message in prompt for part in prompt_parts({"content": "", **message}, heading)]
    if isinstance(prompt, dict):
        return [[f"{heading}{prompt.get('role', '')}".strip(), as_text(prompt["content"])]]
    return [[heading.strip(), as_text(prompt)]] if prompt else []


def find_runs(folders: tuple[str, ...], most: int) -> list[Run]:
    """The run folders with the files of their answers. Raises UserError for one that is missing or has none."""
    names = Counter(Path(folder).name for folder in folders)
    runs = []
    for folder in map(Path, folders):
        require(folder.is_dir(), f"there is no folder {folder}")
        files = {
            **answer_files.list_files(raw_folder(folder), "sample"),
            **answer_files.list_files(folder, "converted"),
        }
        require(bool(files), f"{folder} has no answers; run single_model_inference.py first, or give another folder")
        name = str(folder) if names[folder.name] > 1 else folder.name
        first = dict(sorted(files.items())[: most or None])
        runs.append(Run(name, model_of(folder), first, len(files) - len(first)))
    return runs


def model_of(folder: Path) -> str:
    """What wrote a run's answers, as its run.json says: the merged model's alpha, or else the models' names."""
    run = read_run(folder) or {}
    merged = run.get("settings", {}).get("merged_from")
    return f"alpha {merged[2]}" if merged and len(merged) == 3 else " and ".join(run.get("models") or [])


def read_answers(runs: list[Run], broken: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every answer with the number of its run, problem by problem; what is wrong with the others is in `broken`."""
    keys = sorted((question_id, number, sample) for number, run in enumerate(runs) for question_id, sample in run.files)
    for question_id, number, sample in tqdm(keys, unit="answer"):
        key = (question_id, sample)
        path = runs[number].files[key]
        for _, record in records.read_records({key: path}, ("generated_text",), broken):
            texts = (record["generated_text"], record.get("converted_text") or "")
            if all(isinstance(text, str) for text in texts):
                yield number, record
            else:
                broken.append(f"{path}: its generated_text or converted_text is not a text")


def render(page: Page, runs: list[Run], broken: int) -> bytes:
    """The HTML file. Its policy lets no other script run than the page's own, and nothing be loaded."""
    index = {
        "missing": {"left out by MAX_ANSWERS": sum(run.left_out for run in runs), "in broken files": broken},
        "runs": [[run.name, run.model] for run in runs],
        "verdicts": list(page.verdicts),
        "titles": sorted(page.titles.items()),
        "rows": page.rows,
        "starts": page.starts,
    }
    script = SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    parts = {
        "script": script,
        "digest": f"'sha256-{digest}'",
        "index": safe_json(index),
        "chunks": "\n".join(f'<script type="text/plain" class="chunk">{chunk}</script>' for chunk in page.chunks),
    }
    template = PAGE.read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode("utf-8")


def main(settings: Settings) -> int:
    folders = settings.input_dirs
    require(bool(folders), "INPUT_DIRS names no folder")
    require(len(set(map(Path, folders))) == len(folders), "INPUT_DIRS names a folder twice")
    require(settings.max_answers >= 0, f"MAX_ANSWERS is at least 0, not {settings.max_answers}")
    output = Path(settings.output)
    require(not output.is_dir(), f"{output} is a folder; OUTPUT is the HTML file to write")
    runs, page, broken = find_runs(folders, settings.max_answers), Page(), []
    for number, record in read_answers(runs, broken):
        page.add(number, record)
    page.close_chunk()
    if not page.rows:
        raise UserError(f"no answer can be read; the first: {broken[0]}")
    content = render(page, runs, len(broken))
    output.parent.mkdir(parents=True, exist_ok=True)
    records.write_bytes(output, content)
    for sentence in broken:
        print(sentence)
    left_out = sum(run.left_out for run in runs)
    print(
        f"{len(page.rows)} answers of {len(runs)} runs in {output} ({len(content) / 1e6:.1f} MB), {len(broken)} not"
        + f"; {left_out} more are left out by MAX_ANSWERS" * bool(left_out)
    )
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
