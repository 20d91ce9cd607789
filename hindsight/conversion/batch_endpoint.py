"""The batch endpoint of the OpenAI API: half the price, within a day (platform.openai.com/docs/guides/batch).

Importing the client library takes most of a second, so it is imported where a batch is made: most runs make none.
"""

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hindsight.conversion.batch_files import ENDPOINT
from hindsight.errors import UserError
from hindsight.servers.refusals import first_line

if TYPE_CHECKING:
    from openai.types import Batch

POLL_SECONDS = 30.0
ENDED = ("completed", "failed", "expired", "cancelled")
DISCOUNT = 0.5
LOOKED_AT = 1000  # batches in which one is searched for that was sent but not recorded


class BatchEndpoint:
    """The endpoint at a server. `deadline`: seconds the server may stay away; `report` gets a sentence per change."""

    def __init__(self, url: str, deadline: float, report: Callable[[str], None]):
        import openai

        key = os.environ.get("OPENAI_API_KEY") or "none"
        self.client = openai.OpenAI(base_url=url or None, api_key=key, max_retries=5)
        self.deadline, self.report = deadline, report

    def send(self, name: str, content: bytes, recorded: set[str]) -> "Batch":
        """Sends a file of requests. If it was sent before and is not among the `recorded` ids, that batch is returned.

        A run that is killed between sending a batch and recording its id would otherwise send it twice.
        """
        digest = hashlib.sha256(content).hexdigest()
        batch = self._find(digest, recorded)
        if batch is None:
            file = self.client.files.create(file=(name, content), purpose="batch")
            batch = self.client.batches.create(
                input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata={"requests": digest}
            )
        self.report(f"batch {batch.id}: {len(content.splitlines()):,} requests sent")
        return batch

    def wait(self, batch_id: str) -> "Batch":
        """The batch when it has ended. Asks again, until the deadline, while the server is away."""
        import openai

        last_answer, status = time.monotonic(), ""
        while True:
            try:
                batch = self.client.batches.retrieve(batch_id)
                last_answer = time.monotonic()
            except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError):
                if time.monotonic() - last_answer > self.deadline:
                    raise
                time.sleep(POLL_SECONDS)
                continue
            if batch.status != status:
                status = batch.status
                self.report(f"batch {batch.id}: {status}")
            if status in ENDED:
                return batch
            time.sleep(POLL_SECONDS)

    def download(self, batch: "Batch") -> Iterator[bytes]:
        """The files of an ended batch: replies, then errors."""
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                yield self.client.files.content(file_id).read()

    def _find(self, digest: str, recorded: set[str]) -> "Batch | None":
        for batch in itertools.islice(self.client.batches.list(limit=100), LOOKED_AT):
            if batch.id not in recorded and (batch.metadata or {}).get("requests") == digest:
                return batch
        return None


@contextmanager
def refusals_as_user_errors() -> Iterator[None]:
    """Turns refusals and lost connections of the endpoint into UserError."""
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        raise UserError(f"the batch endpoint refuses: {first_line(error.message)}") from None
    except openai.APIConnectionError as error:
        raise UserError(f"the batch endpoint does not answer ({error}); run again to resume") from None
