"""Asks a reformatting model about raw answers, and keeps of its replies what is proved to change nothing.

A reply that is not kept is asked for again, with what was wrong, in the same conversation. What was kept is never asked
for twice, and what was not is not asked for again in the same run.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hindsight.conversion.proof import NotKept, prove
from hindsight.conversion.replies import sections_of
from hindsight.conversion.reply_cache import ReplyCache, digest
from hindsight.conversion.sections import Sections, is_program
from hindsight.servers.budgets import Bill, OverBudget, Pace, estimate_tokens
from hindsight.servers.client import ItemFailed, ModelServer
from hindsight.servers.requests import ask_model, usage
from hindsight.settings import Settings
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.prompts import reformat_again, reformat_messages, reformat_schema

CUT_TOKENS = 512  # the most that three quotes may have
QUOTE_TOKENS = 80  # that they have as a rule
FORM_TOKENS = 200  # tags and the like, beyond the answer that a reply copies
NO_SCHEMA = ("response_format", "json_schema", "structured", "guided")  # in a refusal: the server takes no schema


@dataclass(frozen=True)
class Question:
    """A raw answer as a model is asked about it; settings are those of format_converter.py."""

    answer: str
    settings: Settings

    @property
    def key(self) -> str:
        """A digest of what is asked and how: the name that its reply is kept by."""
        mode, model = self.settings.llm_mode, self.settings.llm_model
        return digest(reformat_messages(self.answer, mode, True), mode, model, self.settings.llm_temperature)

    @property
    def limit(self) -> int:
        """The most tokens that a reply needs, a token being a byte at least, within the user's limit."""
        cut = self.settings.llm_mode == "cut"
        needed = CUT_TOKENS if cut else len(self.answer.encode("utf-8", "surrogatepass")) + FORM_TOKENS
        return min(self.settings.llm_max_tokens, needed)

    @property
    def estimate(self) -> tuple[int, int]:
        """Tokens of the prompt and of the reply, about."""
        text = "".join(message["content"] for message in self.messages(structured=True))
        reply = QUOTE_TOKENS if self.settings.llm_mode == "cut" else estimate_tokens(self.answer)
        return estimate_tokens(text), min(self.limit, reply)

    def messages(self, structured: bool) -> list[dict[str, str]]:
        return reformat_messages(self.answer, self.settings.llm_mode, structured)

    def body(self, messages: list[dict[str, str]], structured: bool) -> dict[str, Any]:
        """The request, for /chat/completions."""
        request = {
            "model": self.settings.llm_model,
            "messages": messages,
            "temperature": self.settings.llm_temperature,
            "max_completion_tokens": self.limit,
        }
        return request | ({"response_format": reformat_schema(self.settings.llm_mode)} if structured else {})

    def prove(self, reply: str, structured: bool, finish: str = "stop") -> tuple[Sections, dict[str, Any]]:
        """What a reply makes of the answer, and the proof's figures. Raises NotKept."""
        if finish != "stop":
            raise NotKept(f"the reply ended with finish reason {finish!r}")
        sections = sections_of(reply, self.answer, self.settings.llm_mode, structured)
        if not sections.solution:
            raise NotKept("the solution is empty")
        figures = prove(self.answer, sections, self.settings.min_kept, self.settings.max_new)
        if figures["code"] == "none" and any(is_program(block.code) for block in find_code_blocks(self.answer)):
            raise NotKept("the solution has no program, the answer has one")
        return sections, figures

    def known(self, cache: ReplyCache) -> tuple[Sections, dict[str, Any]] | None:
        """What a reply that was kept before makes of it, as `Reformatter.convert`; None where none holds now."""
        kept = cache.get(self.key)
        if kept is None:
            return None
        try:
            sections, figures = self.prove(kept["reply"], kept["structured"])
        except NotKept:
            return None
        return sections, self.conversion(kept, figures, known=True)

    def conversion(self, kept: dict[str, Any], figures: dict[str, Any], known: bool) -> dict[str, Any]:
        """How the answer was converted, for its file; `known`: the reply was paid for before."""
        names = {"mode": "llm_mode", "model": "llm_model", "temperature": "llm_temperature"}
        asked = {name: self.settings[setting] for name, setting in names.items()}
        rest = {name: kept[name] for name in ("structured", "attempts", "usage")}
        return {"how": "llm", **asked, "max_completion_tokens": self.limit, **rest, "known": known, **figures}


class Reformatter:
    """A reformatting model with its cache, its bill and its pace; `say` gets a sentence when it changes its way."""

    def __init__(self, settings: Settings, cache: ReplyCache, bill: Bill, pace: Pace, say: Callable[[str], None]):
        self.settings, self.cache, self.bill, self.pace, self.say = settings, cache, bill, pace, say
        self.structured = settings.structured_output
        self._turns: dict[str, asyncio.Lock] = {}
        self._failed: dict[str, str] = {}

    async def convert(self, answer: str, server: ModelServer) -> tuple[Sections, dict[str, Any]]:
        """The sections of an answer, and how they were found. Raises ItemFailed when no reply can be kept, and what
        `ModelServer.ask` does. The same answer is asked about by one caller, and the others wait.
        """
        question = Question(answer, self.settings)
        async with self._turns.setdefault(question.key, asyncio.Lock()):
            try:
                if question.key in self._failed:
                    raise ItemFailed(self._failed[question.key])
                return question.known(self.cache) or await self._ask(question, server)
            except ItemFailed as error:
                self._failed[question.key] = str(error)
                raise

    async def _ask(self, question: Question, server: ModelServer) -> tuple[Sections, dict[str, Any]]:
        structured = self.structured
        messages, used, wrong = question.messages(structured), {"prompt_tokens": 0, "completion_tokens": 0}, ""
        for attempt in range(1, self.settings.retries + 2):
            try:
                counted, choice = await self._request(question, messages, structured, server)
            except ItemFailed as error:
                if structured and any(word in str(error) for word in NO_SCHEMA):
                    self._no_schema(str(error))
                    return await self._ask(question, server)
                raise
            used = {name: count + counted.get(name, 0) for name, count in used.items()}
            reply = choice["message"].get("content") or ""
            try:
                sections, figures = question.prove(reply, structured, choice["finish_reason"])
            except NotKept as error:
                wrong = str(error)
                messages = messages + reformat_again(reply, wrong)
                continue
            kept = {"reply": reply, "structured": structured, "attempts": attempt, "usage": used}
            self.cache.put(question.key, kept)
            return sections, question.conversion(kept, figures, known=False)
        raise ItemFailed(f"no conversion could be kept: {wrong}")

    async def _request(
        self, question: Question, messages: list[dict[str, str]], structured: bool, server: ModelServer
    ) -> tuple[dict[str, int], dict[str, Any]]:
        """One request: its usage and its choice."""
        prompt = estimate_tokens("".join(message["content"] for message in messages))
        try:
            call = self.bill.reserve(prompt, question.limit)
        except OverBudget as error:
            raise ItemFailed(str(error)) from None
        counted = None
        try:
            entry = await self.pace.wait(prompt + question.limit)
            body = question.body(messages, structured)
            answer, choice = await ask_model(server, body.pop("messages"), body)
            counted = usage(answer)
            self.pace.settle(entry, sum(counted.values()) or int(entry[1]))
            return counted, choice
        finally:
            self.bill.settle(call, counted)

    def _no_schema(self, reason: str) -> None:
        if self.structured:
            self.structured = False
            self.say(f"the server takes no JSON schema ({reason}); it is asked for tags instead")
