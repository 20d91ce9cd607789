"""The request to a reformatting model about one raw answer, and the conversion that its reply gives."""

from dataclasses import dataclass
from typing import Any

from hindsight.conversion.conversions import Conversion
from hindsight.conversion.fidelity import FidelityLimits, NotFaithful, check_fidelity
from hindsight.conversion.reformat_prompts import reformat_messages, reformat_schema
from hindsight.conversion.replies import sections_of
from hindsight.conversion.reply_cache import Reply, ReplyCache, digest
from hindsight.servers.budgets import estimate_tokens
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.program_choice import UNKNOWN_TARGET, ProgramTarget
from hindsight.text.programs import is_program

CUT_TOKENS = 512  # the most tokens that three quotes may have
QUOTE_TOKENS = 80  # the tokens that three quotes usually have
FORM_TOKENS = 200  # tokens of tags and the like in a rewritten answer

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class ReformatOptions:
    """How a model reformats; all but `limits` are settings of format_converter.py; `extra_body` is parsed already."""

    llm_model: str
    llm_mode: str
    llm_temperature: float
    llm_max_tokens: int
    structured_output: bool
    retries: int
    extra_body: dict[str, Any]
    limits: FidelityLimits


@dataclass(frozen=True)
class ReformatRequest:
    """A raw answer to be reformatted, and what its problem asks for."""

    answer: str
    options: ReformatOptions
    target: ProgramTarget = UNKNOWN_TARGET

    @property
    def key(self) -> str:
        """The name that its reply is cached by."""
        options = self.options
        settings = [options.llm_mode, options.llm_model, options.llm_temperature]
        return digest(self.messages(structured=True), *settings, *([options.extra_body] if options.extra_body else []))

    @property
    def limit(self) -> int:
        """The most tokens that a reply needs, at least a byte each, within LLM_MAX_TOKENS."""
        cut = self.options.llm_mode == "cut"
        needed = CUT_TOKENS if cut else len(self.answer.encode("utf-8", "surrogatepass")) + FORM_TOKENS
        return min(self.options.llm_max_tokens, needed)

    @property
    def estimate(self) -> tuple[int, int]:
        """The tokens that the prompt and the reply will probably have."""
        reply = QUOTE_TOKENS if self.options.llm_mode == "cut" else estimate_tokens(self.answer)
        return prompt_tokens(self.messages(structured=True)), min(self.limit, reply)

    def most_tokens(self, messages: Messages) -> tuple[int, int]:
        """The most tokens that the prompt and the reply may have, for the budget."""
        return prompt_tokens(messages), self.limit

    def messages(self, structured: bool) -> Messages:
        """The messages of the first attempt."""
        return reformat_messages(self.answer, self.options.llm_mode, structured)

    def body(self, messages: Messages, structured: bool) -> dict[str, Any]:
        """The body of a request to /chat/completions."""
        body = {
            "model": self.options.llm_model,
            "messages": messages,
            "temperature": self.options.llm_temperature,
            "max_completion_tokens": self.limit,
            **self.options.extra_body,
        }
        return body | ({"response_format": reformat_schema(self.options.llm_mode)} if structured else {})

    def conversion(self, reply: Reply, known: bool, finish_reason: str = "stop") -> Conversion:
        """The answer's conversion by a reply; `known`: the reply is from the cache. Raises NotFaithful."""
        if finish_reason != "stop":
            raise NotFaithful(f"the reply ended with finish reason {finish_reason!r}")
        options = self.options
        sections = sections_of(reply.reply, self.answer, options.llm_mode, reply.structured)
        if not sections.solution:
            raise NotFaithful("the solution is empty")
        figures = check_fidelity(self.answer, sections, options.limits, self.target)
        if figures["code"] == "none" and any(is_program(block.code) for block in find_code_blocks(self.answer)):
            raise NotFaithful("the solution has no program, the answer has one")
        asked = {"mode": options.llm_mode, "model": options.llm_model, "temperature": options.llm_temperature}
        asked = {key: value for key, value in asked.items() if key not in reply.not_sent}
        asked |= {"not_sent": reply.not_sent} if reply.not_sent else {}
        asked |= {"extra_body": options.extra_body} if options.extra_body else {}
        cost = {"structured": reply.structured, "attempts": reply.attempts, "usage": reply.usage, "known": known}
        return Conversion(sections, {"how": "llm", **asked, "max_completion_tokens": self.limit, **cost, **figures})

    def from_cache(self, cache: ReplyCache) -> Conversion | None:
        """The answer's conversion by a cached reply, None if there is none or it is no longer accepted."""
        reply = cache.get(self.key)
        try:
            return self.conversion(reply, known=True) if reply else None
        except NotFaithful:
            return None


def prompt_tokens(messages: Messages) -> int:
    """The approximate number of tokens in messages."""
    return estimate_tokens("".join(message["content"] for message in messages))
