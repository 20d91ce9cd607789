"""Converts answers by a reformatting model, many requests at once, and keeps only faithful conversions.

A rejected reply is answered with what was wrong with it, and the model tries again in the same conversation. An
accepted reply is never requested twice, a failed one not again in the same run.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from tqdm import tqdm

from hindsight.conversion.conversions import AnswerFiles, Conversion, Key, RawAnswer
from hindsight.conversion.fidelity import NotFaithful
from hindsight.conversion.reformat_prompts import reformat_again
from hindsight.conversion.reformat_request import Messages, ReformatOptions, ReformatRequest
from hindsight.conversion.reply_cache import Reply, ReplyCache
from hindsight.servers.budgets import Bill, OverBudget, RateLimiter
from hindsight.servers.client import ItemFailed, ModelServer
from hindsight.servers.job_queue import Failures, JobQueue
from hindsight.servers.replies import Completion
from hindsight.servers.requests import ask_model

NO_SCHEMA = ("response_format", "json_schema", "structured", "guided")  # words in a server's refusal of schemas


@dataclass(frozen=True)
class ModelServerOptions:
    """Where the reformatting model is served and how it is asked: settings of format_converter.py."""

    llm_url: str
    llm_model: str
    server_deadline: float  # seconds
    concurrency: int


async def convert_by_model(
    keys: list[Key], files: AnswerFiles, reformatter: "Reformatter", server: ModelServerOptions, failures: Failures
) -> str:
    """Converts the answers and writes them; those that fail are added to `failures`.

    Returns why answers are missing if the server stayed away, else an empty text.
    """

    async def convert(key: Key, model_server: ModelServer) -> tuple[RawAnswer, Conversion]:
        answer = files.read(key)
        return answer, await reformatter.convert(answer, model_server)

    with tqdm(total=len(keys), unit="answer", desc="LLM") as bar:
        reformatter.report = bar.write
        address = server.llm_url, server.llm_model, server.server_deadline
        async with ModelServer(*address, before_retry=reformatter.limiter.wait) as model_server:
            queue = JobQueue([(model_server,)], server.concurrency, report=bar.write)
            async with aclosing(queue.run(keys, convert)) as finished:
                async for each in finished:
                    if each.failure:
                        failures.add(files.name(each.job), each.failure)
                    else:
                        files.write(*each.result)
                    bar.set_postfix_str(f"${reformatter.bill.dollars:.4f}", refresh=False)
                    bar.update()
            for sentence in model_server.sentences():
                bar.write(sentence)
    return queue.gave_up


class Reformatter:
    """A reformatting model with its cache, bill and rate limit; `report` gets a sentence when schemas are refused."""

    def __init__(
        self,
        options: ReformatOptions,
        cache: ReplyCache,
        bill: Bill,
        limiter: RateLimiter,
        report: Callable[[str], None],
    ):
        self.options, self.cache, self.bill, self.limiter, self.report = options, cache, bill, limiter, report
        self.structured = options.structured_output
        self._locks: dict[str, asyncio.Lock] = {}
        self._failed: dict[str, str] = {}

    async def convert(self, answer: RawAnswer, server: ModelServer) -> Conversion:
        """A raw answer's conversion. Raises ItemFailed if no reply is accepted, and what `ModelServer.ask` raises.

        If the same answer is converted several times at once, one caller asks and the others wait for its reply.
        """
        request = ReformatRequest(answer.text, self.options, answer.target)
        async with self._locks.setdefault(request.key, asyncio.Lock()):
            try:
                if request.key in self._failed:
                    raise ItemFailed(self._failed[request.key])
                return request.from_cache(self.cache) or await self._ask(request, server)
            except ItemFailed as error:
                self._failed[request.key] = str(error)
                raise

    async def _ask(self, request: ReformatRequest, server: ModelServer) -> Conversion:
        structured = self.structured
        messages, used, wrong = request.messages(structured), {"prompt_tokens": 0, "completion_tokens": 0}, ""
        for attempt in range(1, self.options.retries + 2):
            try:
                answer, not_sent = await self._request(request, messages, structured, server)
            except ItemFailed as error:
                if not structured or not any(word in str(error) for word in NO_SCHEMA):
                    raise
                self._without_schema(str(error))
                return await self._ask(request, server)
            used = {name: count + answer.usage.get(name, 0) for name, count in used.items()}
            reply = Reply(answer.text, structured, attempt, used, not_sent)
            try:
                conversion = request.conversion(reply, known=False, finish_reason=answer.finish_reason)
            except NotFaithful as error:
                wrong = str(error)
                messages = messages + reformat_again(reply.reply, wrong)
                continue
            self.cache.put(request.key, reply)
            return conversion
        raise ItemFailed(f"no conversion could be kept: {wrong}")

    async def _request(
        self, request: ReformatRequest, messages: Messages, structured: bool, server: ModelServer
    ) -> tuple[Completion, list[str]]:
        """The reply to one request, within budget and rate limit, and the parameters that were not sent."""
        most = request.most_tokens(messages)
        try:
            reserved = self.bill.reserve(*most)
        except OverBudget as error:
            raise ItemFailed(str(error)) from None
        counted = None
        try:
            entry = await self.limiter.wait(sum(most))
            body = request.body(messages, structured)
            answer, sent = await ask_model(server, body.pop("messages"), body)
            counted = answer.usage
            self.limiter.settle(entry, sum(counted.values()) or int(entry[1]))
            return answer, sent.get("not_sent", [])
        finally:
            self.bill.settle(reserved, counted)

    def _without_schema(self, reason: str) -> None:
        if self.structured:
            self.structured = False
            self.report(f"the server does not accept a JSON schema ({reason}); tags are requested instead")
