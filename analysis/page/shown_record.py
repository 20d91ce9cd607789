"""The parts of an answer's record that the page shows. All values become text here, so numbers keep their digits."""

import json
from collections.abc import Mapping
from typing import Any

from analysis.page.text_parts import text_parts

TITLE = 80  # longest title of a problem, in characters
# Keys left out of the record as text: shown elsewhere, or lists with an entry per token or test
SHOWN_ELSEWHERE = ("prompt", "generated_text", "converted_text", "segments", "test_results", "token_ids", "logprobs")
# Keys left out of the problem: shown elsewhere, or megabytes long
PROBLEM_LEFT_OUT = ("question", "input_output", "solutions")


def shown_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as the page shows it, without its question and prompt."""
    raw, converted = record["generated_text"], record.get("converted_text")
    results = [result for result in record.get("test_results") or [] if isinstance(result, dict)]
    failed = next((result for result in results if not result.get("passed")), None)
    rest = {key: value for key, value in record.items() if key not in SHOWN_ELSEWHERE}
    if isinstance(rest.get("metadata"), dict):
        rest["metadata"] = {key: value for key, value in rest["metadata"].items() if key not in PROBLEM_LEFT_OUT}
    return {
        "raw": {"text": raw, **text_parts(raw)},
        "converted": {"text": converted, **text_parts(converted)} if converted else None,
        "segments": [  # the turns of a switching answer
            [each["start"], each["end"], each["model"], each.get("tokens")] for each in record.get("segments") or []
        ],
        "reason": str(record.get("correctness_reason") or ""),
        "failed": failed and {key: as_text(value) for key, value in failed.items()},
        "passed": sum(bool(result.get("passed")) for result in results),
        "facts": [[name, as_text(value)] for name, value in facts(record).items() if value not in (None, "")],
        "record": json.dumps(rest, indent=2, ensure_ascii=False),
    }


def facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that the page lists under an answer's heading."""
    config, usage, merged = (record.get(key) or {} for key in ("generation_config", "usage", "merged_from"))
    conversion, metadata = record.get("conversion") or {}, record.get("metadata") or {}
    models = {name: part["model"] for name, part in config.items() if isinstance(part, dict) and "model" in part}
    alpha = (
        f"{merged.get('base')} and {merged.get('finetuned')} at alpha {as_text(merged.get('alpha'))}"
        if merged
        else None
    )
    return {
        "model": config.get("model") or ", ".join(f"{name}: {model}" for name, model in models.items()),
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
    """A text unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def question_of(record: Mapping[str, Any]) -> str:
    """The problem's statement."""
    return as_text((record.get("metadata") or {}).get("question") or "")


def title_of(question: str) -> str:
    """The first words of a problem, in one line."""
    words = " ".join(question.split())
    return words if len(words) <= TITLE else f"{words[:TITLE]}..."


def prompt_parts(prompt: Any, heading: str = "") -> list[list[str]]:
    """A prompt as [heading, text] pairs. The heading is the message's role, after the model in a switching answer."""
    if isinstance(prompt, dict) and "content" not in prompt:
        return [part for model, own in prompt.items() for part in prompt_parts(own, f"{heading}{model} ")]
    if isinstance(prompt, list) and all(isinstance(message, dict) for message in prompt):
        return [part for message in prompt for part in prompt_parts({"content": "", **message}, heading)]
    if isinstance(prompt, dict):
        return [[f"{heading}{prompt.get('role', '')}".strip(), as_text(prompt["content"])]]
    return [[heading.strip(), as_text(prompt)]] if prompt else []
