"""Replies of many kinds of servers: an answer of text, or a sentence that names the server and what it sent."""

import asyncio
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.servers.client import REQUEST_ERRORS, ModelServer
from hindsight.servers.replies import BadReply, ItemFailed, models_in, read_completion, read_tokens, whole_number
from hindsight.servers.requests import ask_model

URL = "http://one:8000/v1"
WHOLE = "<think>\nT\n</think>\n\nA"


def chat(message, finish="stop", **more):
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


def text_of(message, finish="stop"):
    """The text of a record, and whether it begins inside a thought."""
    return read_completion(chat({"role": "assistant", **message}, finish), URL).whole_text()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "A"}, "A"),
        ({"content": ""}, ""),
        ({"content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}, "AB"),
        ({"content": ["A", "B"]}, "AB"),
        ({"content": {"type": "text", "text": "A"}}, "A"),
        ({"content": [{"type": "text", "text": {"value": "A", "annotations": []}}]}, "A"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "T"}]}, {"text": "A"}]}, WHOLE),
        ({"content": "A", "reasoning": "T"}, WHOLE),
        ({"content": "A", "reasoning_content": "T"}, WHOLE),
        ({"content": "A", "reasoning": "T", "reasoning_content": "T"}, WHOLE),
        ({"content": "A", "reasoning": None, "reasoning_content": "T"}, WHOLE),
        ({"content": "A", "reasoning": [{"type": "text", "text": "T"}]}, WHOLE),
        ({"content": "A", "reasoning": "", "tool_calls": [], "refusal": None, "function_call": None}, "A"),
        ({"content": "A", "reasoning": " \n"}, "A"),
        ({"content": "A", "reasoning_details": [{"type": "reasoning.text", "text": "T"}]}, WHOLE),
        ({"content": "A", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, "A"),
        ({"content": "A", "thinking_blocks": [{"type": "thinking", "thinking": "T", "signature": "s"}]}, WHOLE),
        ({"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "A"}]}, "A"),
        ({"content": [{"type": "reasoning", "summary": [{"text": "T"}]}, {"type": "text", "text": "A"}]}, WHOLE),
        ({"content": "A", "reasoning": "<think>\nT"}, WHOLE),
        ({"content": "A", "reasoning": "T\n</think>"}, WHOLE),
        ({"content": "</think>\n\nA", "reasoning": "T"}, WHOLE),
        ({"content": "<think>\n\n</think>\n\nA", "reasoning": "T"}, WHOLE),
    ],
)
def test_a_text_is_found_in_every_form(message, text):
    assert text_of(message) == (text, False)


TWICE = ["<think>T</think>\nA", "<think>\nT\n</think>\n\nA", "T\n</think>\n\nA", "T\n\nA", "[THINK]T[/THINK]A"]


@pytest.mark.parametrize("content", TWICE)
def test_a_thought_that_the_content_repeats_is_kept_once(content):
    assert text_of({"content": content, "reasoning_content": "T"}) == (WHOLE, False)


def test_a_thought_in_harmonys_channels_is_kept_once_too():
    content = "<|channel|>analysis<|message|>T<|end|><|start|>assistant<|channel|>final<|message|>A"
    text, opens = text_of({"content": content, "reasoning": "T"})
    assert (text.count("T"), text.startswith("<think>\nT\n</think>"), "A" in text, opens) == (1, True, True, False)


@pytest.mark.parametrize("content", ["That is so.", "T is the first letter.\n\nA", "A\n\nT", "<think>other</think>A"])
def test_a_content_that_only_begins_like_the_thought_or_has_another_one_loses_nothing(content):
    assert text_of({"content": content, "reasoning": "T"}) == (f"<think>\nT\n</think>\n\n{content}", False)


@pytest.mark.parametrize("content", [None, "", "\n", "T", "<think>\nT", "<think>T"])
def test_a_thought_that_was_cut_is_open_and_nobody_closes_it(content):
    assert text_of({"content": content, "reasoning": "T"}, finish="length") == ("T", True)


def test_a_thought_without_an_answer_is_open_although_the_model_ended():
    assert text_of({"content": None, "reasoning": "T"}) == ("T", True)


def test_a_finished_text_that_is_called_thought_and_content_is_the_answer():
    assert text_of({"content": "T", "reasoning": "T"}) == ("T", False)


@pytest.mark.parametrize(
    ("sent", "reason"), [("eos_token", "stop"), ("STOP", "stop"), ("max_tokens", "length"), ("model_length", "length")]
)
def test_other_names_of_the_two_ends_are_known(sent, reason):
    assert read_completion(chat({"content": "A"}, sent), URL).finish_reason == reason


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (chat({"content": None}), "sent neither a text nor a thought"),
        (chat({"content": []}), "sent neither a text nor a thought"),
        (chat({"content": 3}), "sent a content with 3, which is no text"),
        (chat({"content": [{"type": "image_url"}]}), "sent a content with an object with"),
        (chat({"content": [{"type": "text", "text": None}]}), "sent a part whose text is null"),
        (chat(None), "sent a choice whose message is null"),
        (chat({"content": "A"}, finish=None), "sent an answer with finish reason null"),
        (chat({"content": "A"}, finish="abort"), 'sent an answer with finish reason "abort"'),
        (chat({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"), "sent a call of tools, a list of 1"),
        (chat({"content": "A", "tool_calls": [{"id": "1"}]}), "sent a call of tools"),
        ({"choices": []}, "sent an empty list as its choices"),
        ({"choices": None}, "sent an object with"),
        ({"id": "x"}, 'sent an object with "id" where one choice was expected'),
        ({}, "sent an empty object where one choice was expected"),
        ({"choices": [None]}, "sent a list of 1 as its choices"),
        ({"choices": [{"error": {"message": "No memory."}}]}, 'an error in place of an answer: "No memory."'),
        ({"choices": [{"text": ["A"], "finish_reason": 3}]}, "finish reason 3"),
        ({"choices": [{"finish_reason": "stop"}]}, "sent neither a text nor a thought"),
    ],
)
def test_what_is_no_answer_is_a_sentence_that_names_the_server_and_what_it_sent(reply, sentence):
    with pytest.raises(BadReply) as failed:
        read_completion(reply, URL)
    assert str(failed.value).startswith(URL)
    assert sentence in str(failed.value)


@pytest.mark.parametrize(
    ("message", "finish", "sentence"),
    [
        ({"content": None, "refusal": "I cannot help."}, "stop", 'the model refused: "I cannot help."'),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", 'the model refused: "No."'),
        ({"content": ""}, "content_filter", "a content filter withheld the answer"),
        ({"content": None}, "SAFETY", "a content filter withheld the answer"),
    ],
)
def test_a_refusal_fails_for_good_and_is_no_answer(message, finish, sentence):
    with pytest.raises(ItemFailed) as failed:
        read_completion(chat(message, finish), URL)
    assert str(failed.value) == f"{URL}: {sentence}"


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (
            {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            {"prompt_tokens": 7, "completion_tokens": 3},
        ),
        ({"prompt_tokens": "7", "completion_tokens": 3.0}, {"prompt_tokens": 7, "completion_tokens": 3}),
        ({"prompt_tokens": 7, "completion_tokens": None}, {"prompt_tokens": 7}),
        ({"prompt_tokens": -1, "completion_tokens": "many"}, {}),
        ({"prompt_tokens": True, "completion_tokens": 10**400}, {}),
        (None, {}),
        ([7, 3], {}),
    ],
)
def test_a_count_that_the_server_did_not_send_is_missing_not_zero(usage, counts):
    assert read_completion(chat({"content": "A"}, usage=usage), URL).usage == counts


def test_log_probabilities_and_token_ids_are_read_or_missing():
    choice = {"text": "A", "finish_reason": "stop", "token_ids": [5, "6"], "logprobs": {"token_logprobs": [None, "-1"]}}
    found = read_completion({"choices": [choice]}, URL)
    assert (found.token_ids, found.logprobs) == ([5, 6], [None, -1.0])
    content = {"content": [{"token": "A", "logprob": -0.5}]}
    found = read_completion({"choices": [{**choice, "token_ids": [None], "logprobs": content}]}, URL)
    assert (found.token_ids, found.logprobs) == (None, [-0.5])
    found = read_completion({"choices": [{**choice, "logprobs": {"content": [{"logprob": "low"}]}}]}, URL)
    assert found.logprobs is None


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ([{"id": "a"}, "b"], ["a", "b"]),
        ({"models": [{"name": "a"}, {"model": "b"}]}, ["a", "b"]),
        ({"models": [{"name": "a"}], "data": [{"id": "b", "aliases": ["c", 3, "d"]}]}, ["b", "c", "d"]),
        ({"data": None}, []),
        ({"data": [None, 3, {}, {"id": 5}]}, []),
        ("a", []),
    ],
)
def test_a_list_of_models_is_read_in_every_form_with_its_aliases(listed, names):
    assert list(models_in(listed)) == names


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        ({"tokens": []}, 'an object with "tokens" where'),  # llama.cpp, which reads `content`
        ({"error": "Unexpected endpoint"}, 'an object with "error" where'),
        ({"tokens": [1, 2], "count": 3}, "an object with"),
        ({"tokens": [{"id": 1}]}, "an object with"),
        ({}, "an empty object where"),
    ],
)
def test_the_tokens_of_another_servers_endpoint_are_not_believed(reply, sent):
    with pytest.raises(BadReply, match=sent):
        read_tokens(reply, URL)
    assert read_tokens({"tokens": [1, "2"], "count": 2}, URL) == [1, 2]
    assert read_tokens({"tokens": [], "count": 0}, URL) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["text", "stop", "T"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "message", "choices", "error", "x"]), inner)
    ),
    max_leaves=6,
)
REPLIES = [
    chat({"role": "assistant", "content": "A", "reasoning": "T"}, usage={"prompt_tokens": 7, "completion_tokens": 3}),
    chat(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "T"}]}, {"type": "text", "text": "A"}]}
    ),
    {
        "choices": [
            {
                "text": "A",
                "finish_reason": "stop",
                "token_ids": [1],
                "logprobs": {"token_logprobs": [-0.5], "tokens": ["A"]},
            }
        ],
        "usage": {"prompt_tokens": 7},
    },
    {"tokens": [1, 2], "count": 2, "prompt": "A"},
    {"data": [{"id": "m", "aliases": ["n"]}]},
]


def places(value, path=()):
    """The path of every value in a reply, that of the reply itself too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


PLACES = [(number, path) for number, reply in enumerate(REPLIES) for path in places(reply)]


def with_value(place, value):
    """A reply with another value at a place."""
    number, path = place
    holder = {"reply": copy.deepcopy(REPLIES[number])}
    inner = holder
    for key in ("reply", *path)[:-1]:
        inner = inner[key]
    inner[("reply", *path)[-1]] = value
    return holder["reply"]


async def everything_asked(content):
    """What each request makes of one and the same reply: its result, or the exception it is allowed."""
    async with ModelServer(URL, "m") as server:

        async def post(url, body):
            return content

        server._post = post
        found = []
        for prompt in ("A", [{"role": "user", "content": "A"}]):
            try:
                found.append((await ask_model(server, prompt, {"model": "m", "max_tokens": 1}))[0])
            except REQUEST_ERRORS as error:
                assert URL in str(error) or "status" in str(error), error
        return found


@pytest.mark.slow
@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_value_in_any_place_of_a_reply_gives_an_answer_of_text_or_the_one_exception(place, value):
    reply = with_value(place, value)
    for answer in asyncio.run(everything_asked(json.dumps(reply).encode())):
        text, opens = answer.whole_text()
        assert isinstance(text, str) and isinstance(opens, bool)
        assert answer.finish_reason in ("stop", "length")
        json.dumps([answer.usage, answer.token_ids, answer.logprobs], allow_nan=False)
        assert all(isinstance(count, int) and 0 <= count <= 10**12 for count in answer.usage.values())
    assert all(isinstance(name, str) and isinstance(card, dict) for name, card in models_in(reply).items())
    try:
        assert all(isinstance(each, int) for each in read_tokens(reply if isinstance(reply, dict) else {}, URL))
    except BadReply as error:
        assert str(error).startswith(URL)


@pytest.mark.slow
@given(st.binary(max_size=40) | st.sampled_from([b"", b"<html>", b"[" * 100_000, b'{"choices": ']))
def test_any_bytes_in_place_of_json_are_a_sentence(content):
    asyncio.run(everything_asked(content))


@given(st.integers(0, 10**12))
def test_a_count_is_the_same_as_a_number_and_as_a_string(count):
    assert whole_number(count) == whole_number(str(count)) == whole_number(float(count)) == count
