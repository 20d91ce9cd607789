"""What a refusal says about parameters: which are renamed, which left out, and which refusals mean something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.servers.request_dialect import RequestDialect
from hindsight.servers.requests import refused_part, template_keys

BODY = {"model": "m", "max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "seed": 1}


@pytest.mark.parametrize(
    ("refusal", "gone", "new"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "max_completion_tokens",
        ),
        ("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature", None),
        ("Unsupported parameter: 'top_p' is not supported with this model.", "top_p", None),
        ("`temperature` and `top_p` cannot both be specified for this model.", "top_p", None),
        ("invalid temperature: only 1 is allowed for this model", "temperature", None),
        ("Additional properties are not allowed ('seed' was unexpected)", "seed", None),
        ("unknown field `seed`, expected one of `messages`, `temperature`, `top_p`, `max_tokens`", "seed", None),
        ("temperature must be 1 when thinking is enabled.", "temperature", None),
        ("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.", "top_p", None),
        ("The parameter `seed` is invalid: not implemented", "seed", None),
        ("Invalid parameter: seed", "seed", None),
        (
            "[{'type': 'extra_forbidden', 'loc': ['body', 'seed'], 'msg': 'Extra inputs are not permitted'}]",
            "seed",
            None,
        ),
    ],
)
def test_the_parameter_that_a_refusal_names_is_renamed_or_left_out(refusal, gone, new):
    dialect = RequestDialect()
    assert dialect.learn(f"status 400: {refusal}", BODY)
    left = {key: value for key, value in BODY.items() if key != gone}
    assert dialect.sent(BODY) == (left | {new: BODY[gone]} if new else left)
    assert dialect.recorded(BODY).get("not_sent", []) == ([] if new else [gone])
    assert not dialect.learn(f"status 400: Unsupported parameter: {gone}", dialect.sent(BODY))


@pytest.mark.parametrize(
    "refusal",
    [
        "'max_tokens' or 'max_completion_tokens' is too large: 9. This model's maximum context length is 8 tokens.",
        "max_tokens must be at least 1, got 0.",
        "temperature must be non-negative, got -1.0.",
        "Unsupported parameter: 'include_stop_str_in_output'",
        "System role not supported",
        "unknown field `logprobs`, expected one of `messages`, `temperature`, `top_p`, `max_tokens`, `seed`",
        "The model doubao-seed-1-6 does not support images.",
        "max_tokens must be 1 or more.",
        "Invalid parameter: temperature must be at most 2.",
        "",
    ],
)
def test_a_refusal_of_something_else_changes_nothing(refusal):
    dialect = RequestDialect()
    assert not dialect.learn(refusal, BODY)
    assert (dialect.sent(BODY), dialect.recorded(BODY), dialect.sentences("one")) == (BODY, BODY, [])


def test_a_server_that_knows_only_the_older_name_gets_it():
    dialect = RequestDialect()
    assert dialect.learn("Unknown field: max_completion_tokens", {"max_completion_tokens": 9})
    assert dialect.sent({"max_completion_tokens": 9}) == {"max_tokens": 9}
    assert not dialect.learn("Unknown field: max_tokens", {"max_tokens": 9})


@given(st.lists(st.sampled_from([*BODY, "max_completion_tokens"])))
def test_a_request_is_repeated_at_most_once_for_each_parameter(names):
    dialect, learnt = RequestDialect(), 0
    for name in names:
        learnt += dialect.learn(f"Unsupported parameter: {name}", dialect.sent(BODY))
    assert learnt == len(dialect.changed) <= 4
    assert set(dialect.sent(BODY)) <= {*BODY, "max_completion_tokens"}


def test_the_effort_of_reasoning_reaches_the_chat_template_as_vllm_hands_it_on():
    assert template_keys({"top_k": 20, "reasoning_effort": "low"}) == {
        "chat_template_kwargs": {"reasoning_effort": "low", "enable_thinking": True}
    }
    own = {"chat_template_kwargs": {"enable_thinking": True}}
    assert template_keys({"reasoning_effort": "none", **own})["chat_template_kwargs"]["enable_thinking"] is True
    assert template_keys(own) == own


@pytest.mark.parametrize(
    ("refusal", "is_one"),
    [
        ("System role not supported", True),
        ("This model doesn't support system messages.", True),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", True),
        ("Conversation roles must alternate user/assistant/user/assistant/...", True),
        ("Only user and assistant roles are supported!", True),
        ("messages.0.role: Input should be 'user' or 'assistant'", True),
        ("This model's maximum context length is 1024 tokens.", False),
    ],
)
def test_a_refusal_of_the_system_message_is_known_by_its_words(refusal, is_one):
    system, user = {"role": "system", "content": "S"}, {"role": "user", "content": "U"}
    part = refused_part(refusal, [system, user])
    assert (part is not None and part.flag == "--system_prompt false") is is_one
    assert refused_part(refusal, [user]) is None


@pytest.mark.parametrize(
    ("refusal", "is_one"),
    [
        ("Unrecognized request argument supplied: continue_final_message", True),
        ("Assistant response prefill is incompatible with enable_thinking.", True),
        ("Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant", True),
        ("This model does not support assistant message prefill. The conversation must end with a user message.", True),
        ("Inkling renderer does not support continue_final_message", True),
        ("This model's maximum context length is 1024 tokens.", False),
    ],
)
def test_a_refusal_to_continue_an_answer_is_known_by_its_words(refusal, is_one):
    user, begun = {"role": "user", "content": "U"}, {"role": "assistant", "content": "```python\n"}
    part = refused_part(refusal, [user, begun])
    assert (part is not None and part.flag == "--prompt_style evalplus_openai") is is_one
    assert refused_part(refusal, [user]) is None
