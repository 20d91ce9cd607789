"""What a server's reply says, checked: an answer's text and thought, its end, its tokens; the models on a server.

Servers differ, and proxies differ more. Replies that differ only in form are understood (a text in parts, a thought in
a separate field, numbers as strings); any other raises BadReply with a sentence that names the server and what it sent,
so that no error is ever written as an answer.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from hindsight.text.dialects import plain_dialect
from hindsight.text.uniform_format import find_tags

# The protocol's two ends of an answer, and what other servers call them.
FINISH_REASONS = {"stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop"}
FINISH_REASONS |= {"length": "length", "max_tokens": "length", "max_length": "length", "model_length": "length"}
WITHHELD = ("content_filter", "safety", "refusal")
# the fields of a message that hold a thought
THOUGHTS = ("reasoning", "reasoning_content", "thinking", "reasoning_details", "thinking_blocks")
TEXT_PARTS = ("text", "output_text", None)  # types of the parts of a text
THOUGHT_PARTS = ("thinking", "reasoning", "reasoning_text", "reasoning.text", "reasoning.summary")
THOUGHT_KEYS = (*THOUGHTS, "text", "content", "summary")  # where such a part has its text
HIDDEN_PARTS = ("redacted_thinking", "reasoning.encrypted")  # thoughts that nobody can read
NAMES = ("id", "name", "model")  # the fields of a list of models that hold a name
COUNTS = ("prompt_tokens", "completion_tokens")
MOST = 10**12  # the largest count of tokens that is believed


class ItemFailed(Exception):
    """One item failed for good; the message is the reason."""


class TryAgain(Exception):
    """One item got a broken answer, and another attempt may succeed; the message says what was broken."""


class BadReply(TryAgain):
    """A reply that cannot be understood; the message names the server and what it sent."""

    def __init__(self, server: str, sent: str):
        super().__init__(f"{server} sent {sent}")


class NoLogprobs(BadReply):
    """A reply without the log-probabilities that were requested, or with a different number of token ids."""


@dataclass(frozen=True)
class Completion:
    """An answer: its text, the thought if the server sent it in a separate field, and how it ended.

    `usage` has the counts that the server made; `token_ids` and `logprobs` are None where it sent none. `model` is the
    model's name in the reply, "" where it has none.
    """

    text: str
    thought: str
    finish_reason: str
    usage: dict[str, int] = field(default_factory=dict)
    token_ids: list[int] | None = None
    logprobs: list[float | None] | None = None
    model: str = ""

    def other_name(self, requested: str) -> dict[str, str]:
        """A record's entry if the reply names another model than the requested one: an alias's model, or a mistake."""
        return {"answered_as": self.model} if self.model not in ("", requested) else {}

    def require_logprobs(self, server: str) -> None:
        """Raises NoLogprobs unless each token has an entry, which may be null."""
        if self.logprobs is None and (self.text or self.thought):
            raise NoLogprobs(server, "no log-probabilities")
        if self.logprobs is not None and self.token_ids is not None and len(self.logprobs) != len(self.token_ids):
            raise NoLogprobs(server, f"{len(self.logprobs)} log-probabilities with {len(self.token_ids)} token ids")

    def whole_text(self) -> tuple[str, bool]:
        """The text with the thought before it, and whether it begins inside a thought that is never closed.

        A thought that the text repeats, with or without tags, is kept once. A thought without a text was cut off.
        """
        sent, thought = self.thought, _without_ends(self.thought)
        if not thought:
            return self.text, False
        rest, closed = _after(thought, self.text)
        if not rest.strip() and not closed and (self.finish_reason == "length" or self.text.strip() != thought):
            return sent, True
        if not rest.strip() and not closed:  # the same text in both fields: it has finished, so it is the answer
            return self.text, False
        inner = sent if thought == sent.strip() else thought
        return f"<think>\n{inner}\n</think>\n\n{rest}", False


def read_json(content: bytes, server: str) -> Any:
    """The JSON of a reply. Raises BadReply for anything else, such as a web page."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        kind = "a web page" if content.lstrip()[:1] == b"<" else "a text" if content else "nothing"
        start = f", {shortened(content.decode(errors='replace'))}," if content else ""
        raise BadReply(server, f"{kind}{start} where JSON was expected") from None


def read_completion(reply: Any, server: str) -> Completion:
    """The answer in a reply to chat messages or to a text prompt. Raises BadReply, and ItemFailed for a refusal."""
    choice = _only_choice(reply, server)
    is_text = choice.get("message") is None and "text" in choice
    message = {"content": choice["text"]} if is_text else choice.get("message", {})
    if not isinstance(message, dict):
        raise BadReply(server, f"a choice whose message is {described(message)}")
    if message.get("refusal"):
        raise ItemFailed(f"{server}: the model refused: {described(message['refusal'])}")
    if calls := message.get("tool_calls") or message.get("function_call"):
        raise BadReply(server, f"a call of tools, {described(calls)}, where a text was expected")
    reason = finish_reason_of(choice, server)
    text, thought = _text_and_thought(message.get("content"), server)
    for each in THOUGHTS:
        thought = thought if thought.strip() else "".join(_text_and_thought(message.get(each) or None, server, ""))
    if text is None and not thought.strip():
        raise BadReply(server, f"neither a text nor a thought (finish reason {reason})")
    token_ids, logprobs = _numbers(choice.get("token_ids"), whole_number), _logprobs(choice.get("logprobs"))
    model = reply["model"] if isinstance(reply.get("model"), str) else ""
    return Completion(text or "", thought, reason, read_usage(reply), token_ids, logprobs, model)


def finish_reason_of(choice: dict[str, Any], server: str) -> str:
    """ "stop" or "length". Raises BadReply for any other end, and ItemFailed for an answer that a filter withheld."""
    reason = choice.get("finish_reason")
    name = reason.lower() if isinstance(reason, str) else ""
    if name in WITHHELD:
        raise ItemFailed(f"{server}: a content filter withheld the answer")
    known = FINISH_REASONS.get(name)
    if known is None:
        raise BadReply(server, f"an answer with finish reason {described(reason)}")
    return known


def read_usage(reply: dict[str, Any]) -> dict[str, int]:
    """Prompt and completion tokens as the server counted them; a count that it did not send is missing."""
    sent = reply.get("usage")
    counts = {key: whole_number(sent.get(key)) for key in COUNTS} if isinstance(sent, dict) else {}
    return {key: count for key, count in counts.items() if count is not None}


def read_tokens(reply: dict[str, Any], server: str) -> list[int]:
    """The token ids in vLLM's reply to /tokenize. Raises BadReply for another server's reply.

    llama.cpp has an endpoint with this name, which reads another field of the request and so sends no tokens or count.
    """
    ids = _numbers(reply.get("tokens"), whole_number)
    if ids is None or whole_number(reply.get("count", len(ids) or None)) != len(ids):
        raise BadReply(server, f"{described(reply)} where vLLM's /tokenize sends tokens and their count")
    return ids


def models_in(listed: Any) -> dict[str, dict[str, Any]]:
    """Every name in a list of models, including aliases, each with the description that contains it."""
    if isinstance(listed, dict):
        listed = next((listed[key] for key in ("data", "models") if isinstance(listed.get(key), list)), [])
    found: dict[str, dict[str, Any]] = {}
    for entry in listed if isinstance(listed, list) else []:
        card = entry if isinstance(entry, dict) else {"id": entry}
        aliases = card.get("aliases")
        names = [next((card[key] for key in NAMES if isinstance(card.get(key), str)), None)]
        names += aliases if isinstance(aliases, list) else []
        found |= {name: card for name in names if isinstance(name, str) and name not in found}
    return found


def described(value: Any) -> str:
    """A JSON value in a few words, for a sentence."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(shortened, list(value)[:8]))}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return shortened(value) if isinstance(value, str) else json.dumps(value)[:60]


def shortened(text: str) -> str:
    """The beginning of a text in quotes, with unprintable characters escaped."""
    return json.dumps(text[:60] + ("..." if len(text) > 60 else ""))


def whole_number(value: Any) -> int | None:
    """A count or an id: 17, 17.0 or "17"; None for anything else."""
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= MOST and number == int(number) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _numbers(values: Any, read: Any) -> list[Any] | None:
    """Every item read as a number; None if the value is not a list or an item is not a number."""
    numbers = [read(value) for value in values] if isinstance(values, list) else [None]
    return None if None in numbers else numbers


def _logprobs(sent: Any) -> list[float | None] | None:
    """Log-probabilities in the form of /chat/completions or of /completions; null stays None."""
    content = sent.get("content", sent.get("token_logprobs")) if isinstance(sent, dict) else None
    if not isinstance(content, list):
        return None
    values = [each.get("logprob") if isinstance(each, dict) else each for each in content]
    numbers = [_number(value) for value in values]
    wrong = any(number is None and value is not None for number, value in zip(numbers, values, strict=True))
    return None if wrong else numbers


def _only_choice(reply: Any, server: str) -> dict[str, Any]:
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not choices or not isinstance(choices, list) or len(choices) > 1 or not isinstance(choices[0], dict):
        sent = described(reply) if choices is None else f"{described(choices)} as its choices"
        raise BadReply(server, f"{sent} where one choice was expected")
    if error := choices[0].get("error"):
        said = error.get("message") if isinstance(error, dict) else error
        raise BadReply(server, f"an error in place of an answer: {described(said)}")
    return choices[0]


def _text_and_thought(content: Any, server: str, no_text: str | None = None) -> tuple[Any, str]:
    """A content's text and thought: a text, or parts of both. The text is `no_text` if it has no part."""
    if content is None or isinstance(content, str):
        return (no_text if content is None else content), ""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        card = {"text": part} if isinstance(part, str) else part if isinstance(part, dict) else {"type": ""}
        if card.get("type") in THOUGHT_PARTS:
            thoughts += _texts(next((card[key] for key in THOUGHT_KEYS if card.get(key)), ""), server)
        elif card.get("type") in HIDDEN_PARTS:
            continue
        elif card.get("type") in TEXT_PARTS:
            texts += _texts(card.get("text", card.get("content")), server)
        elif card.get("type") == "refusal":
            raise ItemFailed(f"{server}: the model refused: {described(card.get('refusal'))}")
        else:
            raise BadReply(server, f"a content with {described(part)}, which is no text")
    return "".join(texts) if texts else no_text, "".join(thoughts)


def _texts(value: Any, server: str) -> list[str]:
    """The texts of a part: a text, one with annotations ({"value": ...}), or a list of parts that are texts."""
    items = value if isinstance(value, list) else [value]
    texts = [each.get("text", each.get("value")) if isinstance(each, dict) else each for each in items]
    found = [text for text in texts if isinstance(text, str)]
    if len(found) < len(texts):
        raise BadReply(server, f"a part whose text is {described(value)}")
    return found


def _after(thought: str, text: str) -> tuple[str, bool]:
    """The rest of a text after a thought that it repeats, and whether a tag closes the thought there.

    A text that does not repeat the thought follows it as a whole, except for tags with nothing between them. Without a
    closing tag, a repeated thought ends the text or a paragraph.
    """
    plain, _ = plain_dialect(text)
    tags = find_tags(plain)
    opened = bool(tags) and tags[0].opens("thought") and not plain[: tags[0].start].strip()
    repeated = plain[tags[0].end :].lstrip() if opened else plain.lstrip()
    rest = repeated.removeprefix(thought)
    closing = next((tag for tag in find_tags(rest) if not rest[: tag.start].strip()), None)
    if closing and closing.closes("thought"):
        return rest[closing.end :].lstrip(), True
    is_repeated = len(rest) < len(repeated) and (not rest.strip() or rest.startswith("\n\n"))
    return (rest.lstrip(), False) if is_repeated else (text, False)


def _without_ends(thought: str) -> str:
    """A thought without the blank space and its own tags at its ends."""
    tags = find_tags(thought)
    opens = bool(tags) and tags[0].opens("thought") and not thought[: tags[0].start].strip()
    closes = bool(tags) and tags[-1].closes("thought") and not thought[tags[-1].end :].strip()
    return thought[tags[0].end if opens else 0 : tags[-1].start if closes else None].strip()
