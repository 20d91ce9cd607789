"""Reformatting by the batch endpoint of the OpenAI API: half the price, within a day, and kept through kills.

Questions go out in files of many, replies come back in files. Each batch has three files in a folder, so that a run
that was killed goes on where it was, and nothing is sent twice:

    0001.requests.jsonl      what is asked, a line each, named by its question's key; written before it is sent
    0001.json                the batch as the server knows it: its id, its status; "collected" when its replies are in
    0001.replies.jsonl       what came back

A reply that cannot be kept goes into the next round's batch with what was wrong. (Batches: platform.openai.com/docs.)
"""

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import openai

from hindsight.conversion.by_model import Question
from hindsight.conversion.proof import NotKept
from hindsight.conversion.reply_cache import ReplyCache
from hindsight.errors import UserError
from hindsight.files.records import read_record, write_bytes, write_json
from hindsight.servers.budgets import Bill, OverBudget, estimate_tokens
from hindsight.servers.client import first_line
from hindsight.servers.requests import usage
from hindsight.text.prompts import reformat_again

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000  # of a batch: the API's limits, the second with a margin
POLL_SECONDS = 30.0
ENDED = ("completed", "failed", "expired", "cancelled")
ENDPOINT, DISCOUNT = "/v1/chat/completions", 0.5


class Batches:
    """The batches of a run in a folder. `questions` finds a question by its key; `say` gets a sentence on each change.

    deadline: seconds that the server may stay away.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        retries: int,
        cache: ReplyCache,
        bill: Bill,
        say: Callable[[str], None],
        deadline: float,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.retries, self.cache, self.bill, self.say = folder, retries, cache, bill, say
        key = os.environ.get("OPENAI_API_KEY") or "none"
        self.client, self.deadline = openai.OpenAI(base_url=url or None, api_key=key, max_retries=5), deadline
        self.failed: dict[str, str] = {}
        self._reserved: dict[str, tuple[int, int]] = {}

    def run(self, questions: Iterable[Question], find: Callable[[str], Question | None]) -> None:
        """Asks every question that is not asked yet, and waits until all have replies that are kept, or none left.

        `find` is the question of a key, None when it is not one of this run. `failed` then has the keys of those
        without a kept reply, and why. Raises UserError when the server refuses, or stays away.
        """
        try:
            self._collect_all(find)
            self._write_requests(self._bodies(questions))
            self._collect_all(find)
        except openai.APIStatusError as error:
            raise UserError(f"the batch endpoint refuses: {first_line(error.message)}") from None
        except openai.APIConnectionError as error:
            raise UserError(f"the batch endpoint does not answer ({error}); run again to go on") from None

    def _bodies(self, questions: Iterable[Question]) -> Iterator[tuple[str, dict[str, Any]]]:
        asked: set[str] = set()
        for question in questions:
            key, structured = question.key, question.settings.structured_output
            if key in asked or key in self.failed or question.known(self.cache):
                continue
            asked.add(key)
            messages = question.messages(structured)
            if self._reserve(question, messages):
                yield key, question.body(messages, structured)

    def _reserve(self, question: Question, messages: list[dict[str, str]]) -> bool:
        """Whether the budget has room for a request; it is then set aside until the bill comes."""
        prompt = estimate_tokens("".join(message["content"] for message in messages))
        try:
            self._reserved[question.key] = self.bill.reserve(prompt, question.limit)
        except OverBudget as error:
            self.failed[question.key] = str(error)
            return False
        return True

    def _pay(self, key: str, counted: dict[str, int] | None) -> None:
        if key in self._reserved:
            self.bill.settle(self._reserved.pop(key), counted)
        elif counted:
            self.bill.add(counted)

    def _write_requests(self, bodies: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Writes request files; each holds as many as the API takes."""
        lines: list[bytes] = []
        size = 0
        for key, body in bodies:
            line = json.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}).encode() + b"\n"
            if len(lines) == MOST_REQUESTS or (lines and size + len(line) > MOST_BYTES):
                self._write_file(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            self._write_file(lines)

    def _write_file(self, lines: list[bytes]) -> None:
        number = max(self._numbers(), default=0) + 1
        write_bytes(self._path(number, "requests.jsonl"), b"".join(lines))

    def _collect_all(self, find: Callable[[str], Question | None]) -> None:
        """Sends what is not sent, waits for every batch that is not collected, and for those that follow from it."""
        while open_ones := [number for number in self._numbers() if not self._state(number).get("collected")]:
            for number in open_ones:
                self._submit(number)
            for number in open_ones:
                self._collect(number, self._wait(number), find)

    def _submit(self, number: int) -> None:
        if self._state(number):
            return
        content = self._path(number, "requests.jsonl").read_bytes()
        mark = hashlib.sha256(content).hexdigest()
        batch = self._sent_before(mark)
        if batch is None:
            name = self._path(number, "requests.jsonl").name
            file = self.client.files.create(file=(name, content), purpose="batch")
            batch = self.client.batches.create(
                input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata={"requests": mark}
            )
        write_json(self._path(number, "json"), {"id": batch.id, "status": batch.status})
        self.say(f"batch {batch.id}: {len(content.splitlines()):,} requests sent")

    def _sent_before(self, mark: str) -> Any:
        """The batch of a requests file whose sender was killed before it could note the batch's id."""
        noted = {self._state(number).get("id") for number in self._numbers()}
        for batch in itertools.islice(self.client.batches.list(limit=100), 1000):
            if batch.id not in noted and (batch.metadata or {}).get("requests") == mark:
                return batch
        return None

    def _wait(self, number: int) -> Any:
        """The batch when it has ended. A server that is away is asked again until the deadline."""
        seen, status = time.monotonic(), ""
        while True:
            try:
                batch = self.client.batches.retrieve(self._state(number)["id"])
                seen = time.monotonic()
            except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError):
                if time.monotonic() - seen > self.deadline:
                    raise
                time.sleep(POLL_SECONDS)
                continue
            if batch.status != status:
                status = batch.status
                self.say(f"batch {batch.id}: {status}")
            if status in ENDED:
                return batch
            time.sleep(POLL_SECONDS)

    def _collect(self, number: int, batch: Any, find: Callable[[str], Question | None]) -> None:
        """Keeps what can be kept of a batch's replies, and writes the next round's requests for the others."""
        path = self._path(number, "replies.jsonl")
        if not path.exists():
            files = [each for each in (batch.output_file_id, batch.error_file_id) if each]
            write_bytes(path, b"".join(self.client.files.content(each).read().rstrip(b"\n") + b"\n" for each in files))
        replies = {line["custom_id"]: line for line in map(json.loads, path.read_bytes().splitlines()) if line}
        again = []
        for key, body in self._requests(number):
            question = find(key)
            if question is None:
                continue
            again += self._judge(question, body, replies.get(key), batch.status)
        later = [self._requests(each) for each in self._numbers() if each > number]
        written = {(key, len(body["messages"])) for key, body in itertools.chain(*later)}
        self._write_requests((key, body) for key, body in again if (key, len(body["messages"])) not in written)
        write_json(self._path(number, "json"), {"id": batch.id, "status": batch.status, "collected": True})

    def _judge(
        self, question: Question, body: dict[str, Any], line: dict[str, Any] | None, status: str
    ) -> list[tuple[str, dict[str, Any]]]:
        """Keeps a reply that holds; for one that does not, the next request, if there may be one."""
        response = (line or {}).get("response") or {}
        answer = response.get("body") or {}
        if line is None or response.get("status_code") != 200 or not answer.get("choices"):
            why = (line or {}).get("error") or answer.get("error") or f"the batch ended as {status}"
            self.failed[question.key] = f"no reply came: {why.get('message') if isinstance(why, dict) else why}"
            self._pay(question.key, None)
            return []
        attempt, counted, choice = (len(body["messages"]) - 2) // 2, usage(answer), answer["choices"][0]
        self._pay(question.key, counted)
        reply = choice["message"].get("content") or ""
        try:
            question.prove(reply, "response_format" in body, choice.get("finish_reason"))
        except NotKept as error:
            messages = body["messages"] + reformat_again(reply, str(error))
            if attempt > self.retries or not self._reserve(question, messages):
                self.failed.setdefault(question.key, f"no conversion could be kept: {error}")
                return []
            return [(question.key, {**body, "messages": messages})]
        kept = {"reply": reply, "structured": "response_format" in body, "attempts": attempt, "usage": counted}
        self.cache.put(question.key, kept)
        return []

    def _numbers(self) -> list[int]:
        return sorted(int(path.name.split(".")[0]) for path in self.folder.glob("*.requests.jsonl"))

    def _requests(self, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._path(number, "requests.jsonl").open("rb") as file:
            for line in file:
                request = json.loads(line)
                yield request["custom_id"], request["body"]

    def _state(self, number: int) -> dict[str, Any]:
        path = self._path(number, "json")
        return read_record(path) if path.exists() else {}

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number:04}.{suffix}"
