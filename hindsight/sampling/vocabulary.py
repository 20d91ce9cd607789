"""The vocabulary that two models share: if their tokenizers agree, one model's token ids can be the other's input.

A few ids may still stand for different texts: DeepSeek-R1's distilled Llama has `<think>` where Llama has a reserved
token. Such an id reaches the other model as the ids of its text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hindsight.servers.client import ModelServer
from hindsight.servers.replies import BadReply, ItemFailed, TryAgain
from hindsight.servers.requests import detokenize, tokenize

PROBE = "def f(x):\n\treturn 'ünï 数 \U0001f600'  # 12345\n\n```\n<begin_of_solution>"
IDS_PER_REQUEST = 4096  # ids whose texts are compared by one request
MOST_DIFFERING = 256  # ids that may have different texts in a shared vocabulary
MOST_IDS = 1 << 20  # more than any vocabulary has: a server may send a text for ids beyond its end


@dataclass(frozen=True)
class SharedVocabulary:
    """`translations`: by role, the ids with another meaning for this model, each with the ids of its text."""

    translations: dict[str, dict[int, list[int]]]

    def translate(self, ids: list[int], role: str) -> list[int]:
        """Token ids that the other model wrote, as the model of this role knows them."""
        known = self.translations.get(role)
        return [new for each in ids for new in known.get(each, (each,))] if known else ids


async def find_shared_vocabulary(
    first: tuple[str, ModelServer], second: tuple[str, ModelServer], texts: Sequence[str]
) -> SharedVocabulary | None:
    """The vocabulary of two models, each given as role and server; None if their tokenizers differ.

    They agree if they give the same ids to each of the texts, and nearly every id has the same text in both. Raises
    what `ModelServer.ask` raises, and BadReply for a server that has no ids or no text for the probe.
    """
    servers = first[1], second[1]
    for server in servers:
        ids = await tokenize(server, PROBE, special=False)
        if not ids or not await detokenize(server, ids):
            raise BadReply(
                server.url, f"{len(ids)} token ids for a probe of {len(PROBE)} characters, or no text for them"
            )
    for text in (PROBE, *texts):
        if await tokenize(servers[0], text, special=False) != await tokenize(servers[1], text, special=False):
            return None
    translations: dict[str, dict[int, list[int]]] = {first[0]: {}, second[0]: {}}
    ids = range(IDS_PER_REQUEST)
    while ids.start < MOST_IDS and any(await _texts(ids, *servers)):
        for each in await _differing(ids, *servers):
            text_of_first, text_of_second = await _texts([each], *servers)
            translations[first[0]][each] = await tokenize(servers[0], text_of_second, special=False)
            translations[second[0]][each] = await tokenize(servers[1], text_of_first, special=False)
            if len(translations[first[0]]) > MOST_DIFFERING:
                return None
        ids = range(ids.stop, ids.stop + IDS_PER_REQUEST)
    return SharedVocabulary(translations)


async def _texts(ids: Sequence[int], *servers: ModelServer) -> list[str]:
    """Each server's text of the ids; empty beyond the end of the vocabulary, where a server may refuse them."""
    try:
        return [await detokenize(server, list(ids)) for server in servers]
    except BadReply:
        raise
    except (ItemFailed, TryAgain):
        return ["" for _ in servers]


async def _differing(ids: range, *servers: ModelServer) -> list[int]:
    """The ids whose texts differ, found by bisection."""
    first, second = await _texts(ids, *servers)
    if first == second:
        return []
    if len(ids) == 1:
        return [ids[0]]
    middle = len(ids) // 2
    return await _differing(ids[:middle], *servers) + await _differing(ids[middle:], *servers)
