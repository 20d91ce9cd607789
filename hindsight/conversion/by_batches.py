"""Converts answers by a reformatting model through the batch endpoint: half the price, within a day.

A rejected reply goes into a batch of the next round, together with what was wrong with it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hindsight.conversion.batch_endpoint import BatchEndpoint, refusals_as_user_errors
from hindsight.conversion.batch_files import BatchFiles, RequestBody
from hindsight.conversion.conversions import AnswerFiles, Key
from hindsight.conversion.fidelity import NotFaithful
from hindsight.conversion.reformat_prompts import reformat_again
from hindsight.conversion.reformat_request import Messages, ReformatOptions, ReformatRequest
from hindsight.conversion.reply_cache import Reply, ReplyCache
from hindsight.servers.budgets import Bill, OverBudget
from hindsight.servers.job_queue import Failures
from hindsight.servers.replies import BadReply, ItemFailed, read_completion, read_usage

if TYPE_CHECKING:
    from openai.types import Batch

FindRequest = Callable[[str], ReformatRequest | None]  # by its key; None: not a request of this run


def convert_in_batches(
    keys: list[Key], files: AnswerFiles, reformatter: "BatchReformatter", failures: Failures
) -> None:
    """Converts the answers and writes them; those that fail are added to `failures`. Raises UserError as `ask` does."""

    def request_of(key: Key) -> ReformatRequest:
        answer = files.read(key)
        return ReformatRequest(answer.text, reformatter.options, answer.target)

    answers = {request_of(key).key: key for key in keys}
    reformatter.ask(map(request_of, keys), lambda name: request_of(answers[name]) if name in answers else None)
    for key in keys:
        request = request_of(key)
        conversion = request.from_cache(reformatter.cache)
        if conversion:
            files.write(files.read(key), conversion)
        else:
            failures.add(files.name(key), reformatter.failed.get(request.key, "no reply came"))


class BatchReformatter:
    """A reformatting model behind the batch endpoint, with its cache and bill.

    `failed` holds the keys of requests without an accepted reply, each with the reason.
    """

    def __init__(
        self, options: ReformatOptions, batches: BatchFiles, endpoint: BatchEndpoint, cache: ReplyCache, bill: Bill
    ):
        self.options, self.batches, self.endpoint, self.cache, self.bill = options, batches, endpoint, cache, bill
        self.failed: dict[str, str] = {}
        self._reserved: dict[str, tuple[int, int]] = {}

    def ask(self, requests: Iterable[ReformatRequest], find: FindRequest) -> None:
        """Sends every new request and waits until each has an accepted reply in the cache, or has failed.

        Batches of a killed run are collected first. Raises UserError if the server refuses or stays away.
        """
        with refusals_as_user_errors():
            self._collect_all(find)
            self.batches.add(self._bodies(requests))
            self._collect_all(find)

    def _bodies(self, requests: Iterable[ReformatRequest]) -> Iterator[RequestBody]:
        asked: set[str] = set()
        structured = self.options.structured_output
        for request in requests:
            key = request.key
            if key in asked or key in self.failed or request.from_cache(self.cache):
                continue
            asked.add(key)
            messages = request.messages(structured)
            if self._reserve(request, messages):
                yield key, request.body(messages, structured)

    def _collect_all(self, find: FindRequest) -> None:
        """Sends and collects all batches, and those of the rounds that follow from their replies."""
        while numbers := self.batches.uncollected():
            for number in numbers:
                if not self.batches.state(number):
                    self._send(number)
            for number in numbers:
                self._collect(number, self.endpoint.wait(self.batches.state(number)["id"]), find)

    def _send(self, number: int) -> None:
        path = self.batches.requests_path(number)
        recorded = {self.batches.state(each).get("id", "") for each in self.batches.numbers()}
        batch = self.endpoint.send(path.name, path.read_bytes(), recorded)
        self.batches.write_state(number, id=batch.id, status=batch.status)

    def _collect(self, number: int, batch: "Batch", find: FindRequest) -> None:
        """Caches the accepted replies of a batch, and writes the next round's requests for the rejected ones.

        A run killed in between finds some of these requests written already; they are not written twice.
        """
        replies = self.batches.replies(number, self.endpoint.download(batch))
        next_round = []
        for key, body in self.batches.requests(number):
            request = find(key)
            again = request and self._judge(request, body, replies.get(key), batch.status)
            if again:
                next_round.append((key, again))
        written = {(key, len(body["messages"])) for key, body in self.batches.requests_after(number)}
        self.batches.add((key, body) for key, body in next_round if (key, len(body["messages"])) not in written)
        self.batches.write_state(number, id=batch.id, status=batch.status, collected=True)

    def _judge(
        self, request: ReformatRequest, body: dict[str, Any], line: dict[str, Any] | None, status: str
    ) -> dict[str, Any] | None:
        """Caches a reply line that is accepted; for a rejected one returns the body of the next attempt, if any."""
        response = (line or {}).get("response") or {}
        answer = response.get("body") or {}
        if line is None or response.get("status_code") != 200 or not answer.get("choices"):
            why = (line or {}).get("error") or answer.get("error") or f"the batch ended as {status}"
            self.failed[request.key] = f"no reply came: {why.get('message') if isinstance(why, dict) else why}"
            self._pay(request.key, None)
            return None
        self._pay(request.key, read_usage(answer))
        try:
            completion = read_completion(answer, "the batch endpoint")
        except (BadReply, ItemFailed) as error:
            self.failed[request.key] = str(error)
            return None
        attempt = (len(body["messages"]) - 2) // 2
        reply = Reply(completion.text, "response_format" in body, attempt, completion.usage)
        try:
            request.conversion(reply, known=False, finish_reason=completion.finish_reason)
        except NotFaithful as error:
            messages = body["messages"] + reformat_again(reply.reply, str(error))
            if attempt <= self.options.retries and self._reserve(request, messages):
                return {**body, "messages": messages}
            self.failed.setdefault(request.key, f"no conversion could be kept: {error}")
            return None
        self.cache.put(request.key, reply)
        return None

    def _reserve(self, request: ReformatRequest, messages: Messages) -> bool:
        """Whether the budget has room for a request; its tokens are then reserved until it is paid."""
        try:
            self._reserved[request.key] = self.bill.reserve(*request.most_tokens(messages))
        except OverBudget as error:
            self.failed[request.key] = str(error)
            return False
        return True

    def _pay(self, key: str, counted: dict[str, int] | None) -> None:
        if key in self._reserved:
            self.bill.settle(self._reserved.pop(key), counted)
        elif counted:
            self.bill.add(counted)
