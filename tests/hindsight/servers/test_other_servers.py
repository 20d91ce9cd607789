"""Step 1a with servers that are not vLLM, or send what nobody expects: it understands them or says what they sent."""

import json

import pytest
import quick_scripts
from quick_scripts import SWITCHING

from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run

ONE = ["--end_idx", 1, "--num_samples", 1]


@pytest.fixture
def one(sample, tmp_path):
    """Runs step 1a for one sample; the result and the record, None if there is none."""

    def run(*flags):
        result = sample(*ONE, *flags)
        assert "Traceback" not in result.stdout + result.stderr
        files = list_files(tmp_path / "run", "sample") if (tmp_path / "run").exists() else {}
        return result, json.loads(next(iter(files.values())).read_text()) if files else None

    return run


def message(**fields):
    """A change of a toy reply: the message's fields and, as `finish`, how it ended."""
    finish = fields.pop("finish", "stop")

    def rewrite(path, body):
        for choice in body.get("choices", []) if isinstance(body, dict) else []:
            choice |= {"message": {"role": "assistant", "content": None, **fields}, "finish_reason": finish}
        return body

    return rewrite


def at(path, new):
    """A change of the reply to one path."""
    return lambda asked, body: new if asked == path else body


def test_a_thought_sent_twice_is_written_once(one, toy):
    toy.rewrite = message(content="<think>\nHm.\n</think>\n\nSo.", reasoning_content="Hm.")
    _, record = one()
    assert (record["generated_text"], record["thought_open"]) == ("<think>\nHm.\n</think>\n\nSo.", False)


def test_a_thought_that_was_cut_is_recorded_as_open(one, toy):
    toy.rewrite = message(reasoning="First I would", finish="length")
    result, record = one()
    assert (result.returncode, record["generated_text"], record["thought_open"]) == (0, "First I would", True)
    assert record["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (message(), "sent neither a text nor a thought"),
        (message(refusal="I cannot help."), 'the model refused: "I cannot help."'),
        (
            at("/chat/completions", {"error": {"message": "Out of memory."}}),
            "sent status 200 with an error: Out of memory.",
        ),
        (at("/chat/completions", {"error": {"message": "No.", "code": 400}}), "status 400: No."),
        (
            lambda path, body: {**body, "error": {"message": "Out of memory."}} if "choices" in body else body,
            "sent status 200 with an error: Out of memory.",
        ),
        (at("/chat/completions", {"object": "error", "message": "No.", "code": 40303}), "with an error: No."),
        (at("/chat/completions", b"<html>Sign in"), 'sent a web page, "<html>Sign in", where JSON was expected'),
        (at("/chat/completions", b""), "sent nothing where JSON was expected"),
        (at("/chat/completions", b"[" * 100_000), "sent a text"),
        (at("/chat/completions", "fine"), 'sent "fine" where an object was expected'),
    ],
)
def test_what_is_no_answer_fails_and_is_not_written(one, toy, change, sentence):
    toy.rewrite = change
    result, record = one()
    assert (result.returncode, record) == (1, None)
    assert f"1 failed: {toy.url}" in result.stdout
    assert sentence in result.stdout


def test_a_refusal_with_letters_that_cannot_be_printed_is_printed(one, toy):
    toy.rewrite = at("/chat/completions", {"error": {"message": "No \ud800\x1b[31m", "code": 400}})
    result, record = one()
    assert (result.returncode, record, "status 400: No \\ud800\\x1b[31m" in result.stdout) == (1, None, True)


@pytest.mark.parametrize(
    "reply",
    [{"error": "Unexpected endpoint or method. (POST /tokenize)"}, {"tokens": []}, {"tokens": None}, [1], b"no"],
)
def test_the_tokenizer_of_another_server_is_not_believed_and_the_run_goes_on(one, toy, reply):
    toy.rewrite = at("/tokenize", reply)
    result, record = one()
    assert result.returncode == 0
    assert f"instruct: prompts are not measured ({toy.url} sent " in result.stdout
    assert "instruct: whether the chat template opens a thought is unknown" in result.stdout
    assert "thought_open" not in record


def test_a_server_without_a_tokenizer_is_not_taken_as_away(one, toy):
    respond = toy.respond
    missing = 404, {"detail": "Not Found"}
    toy.respond = lambda path, request: respond(path, request) if path.startswith("/v1") else missing
    result, record = one()
    assert (result.returncode, "thought_open" in record, "is away" in result.stdout) == (0, False, False)
    assert f"instruct: prompts are not measured ({toy.url}: status 404: Not Found)" in result.stdout


def test_llama_cpp_shows_the_rendered_prompt_by_another_endpoint(one, toy, monkeypatch):
    respond = toy.respond

    def llama(path, request):
        if path == "/apply-template":
            return 200, {"prompt": request["messages"][-1]["content"] + "<|im_start|>assistant\n<think>\n"}
        return (200, {"tokens": []}) if path == "/tokenize" else respond(path, request)

    toy.respond = llama
    _, record = one()
    assert record["thought_open"] is True


@pytest.mark.parametrize(
    ("template", "opens"),
    [
        ("", False),
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>assistant\n<think>\nOkay, ", True),
    ],
)
def test_a_chat_template_that_opens_a_thought_is_seen_and_recorded(one, toy, template, opens):
    """Our system message names thought tags too: only what follows the question counts."""
    toy.template = template
    result, record = one()
    assert record["thought_open"] is opens
    assert ("the chat template opens a thought, and answers begin inside it" in result.stdout) is opens


def test_where_the_server_splits_thoughts_off_no_answer_begins_inside_of_one(one, toy):
    """The template opens the thought, and the server sends it apart; this answer's thought is empty."""
    toy.template = "<think>\n"

    def rewrite(path, body):
        for choice in body.get("choices", []):
            choice["message"]["reasoning"] = "Hm." if body["usage"]["completion_tokens"] == 48 else None
        return body

    toy.rewrite = rewrite
    _, record = one()
    assert (record["thought_open"], record["generated_text"].startswith("<begin_of_slow_thought>")) == (False, True)


def test_a_transcript_ends_inside_of_a_thought(one):
    _, record = one("--model", "base")
    assert record["thought_open"] is True
    assert record["generated_text"].startswith("<begin_of_slow_thought>\n\n")


def test_switching_records_the_open_thought(toy, tmp_path):
    flags = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--output_dir", tmp_path / "run", *ONE]
    flags += ["--extra_body", '{"top_k": 20, "chat_template_kwargs": {"a": 1}}']
    assert quick_scripts.run(tmp_path / "said", SWITCHING, *flags).returncode == 0
    record = json.loads(next(iter(list_files(tmp_path / "run", "sample").values())).read_text())
    assert record["thought_open"] is True
    assert record["generation_config"]["extra_body"] == {"top_k": 20, "chat_template_kwargs": {"a": 1}}
    assert all(request["top_k"] == 20 and "chat_template_kwargs" not in request for request in toy.requests)


def test_a_list_of_models_without_a_frame_is_read(one, toy):
    toy.rewrite = at("/models", [{"id": "lab-instruct", "object": "model", "context_length": "4000"}])
    result, _ = one()
    assert (result.returncode, f"{toy.url} serves lab-instruct, context of 4,000 tokens" in result.stdout) == (0, True)


@pytest.mark.parametrize("listed", [{"data": [{"id": "lab-instruct-2026"}]}, {"data": None}, []])
def test_a_model_that_is_not_listed_is_taken_if_it_answers(one, toy, listed):
    toy.rewrite = at("/models", listed)
    result, _ = one()
    assert result.returncode == 0
    assert f"{toy.url} serves lab-instruct, which it does not list, it does not report" in result.stdout


def test_a_model_that_is_not_listed_and_does_not_answer_is_refused(one, toy):
    toy.rewrite = at("/models", [])
    result, _ = one("--instruct_model", "typo")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert f"the server at {toy.url} has no model 'typo'; it lists none" in result.stderr


def test_a_web_page_in_place_of_the_list_of_models_is_one_sentence(one, toy):
    toy.rewrite = at("/models", b"<!doctype html><title>Chat</title>")
    result, _ = one()
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert f"{toy.url} sent a web page" in result.stderr


def like_openais_reasoning_models(request):
    """The refusals of o1, in its words."""
    if "max_tokens" in request:
        return (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    for name in ("temperature", "top_p"):
        if name in request:
            return (
                f"Unsupported value: '{name}' does not support {request[name]} with this model. Only the default (1)."
            )
    return None


def test_parameters_that_a_server_refuses_are_renamed_or_left_out_and_recorded(sample, toy, tmp_path):
    toy.refuses = like_openais_reasoning_models
    result = sample("--max_tokens", 300)
    assert result.returncode == 0, result.stdout
    for sentence in (
        f"{toy.url} wants max_completion_tokens for max_tokens",
        f"{toy.url} does not take temperature, which is not sent",
        f"{toy.url} does not take top_p, which is not sent",
    ):
        assert result.stdout.count(sentence) == 1
        assert sentence in read_run(tmp_path / "run")["checked"]
    assert len(toy.requests) == 6
    sent = {request["seed"]: request for request in toy.requests}
    for path in list_files(tmp_path / "run", "sample").values():
        record = json.loads(path.read_text())
        config = record["generation_config"]
        assert config.pop("not_sent") == ["temperature", "top_p"]
        assert {**config, "messages": record["prompt"]} == sent[config["seed"]]
        assert (config["max_completion_tokens"], "max_tokens" in config) == (300, False)


def test_a_server_that_takes_no_seeds_is_reported(one, toy):
    toy.refuses = lambda request: "seed: Extra inputs are not permitted" if "seed" in request else None
    toy.answer = lambda request: "text"
    result, record = one()
    assert (result.returncode, record["generation_config"]["not_sent"]) == (0, ["seed"])
    assert "the server takes no seeds, so samples cannot be reproduced" in result.stdout


def gemma(request):
    roles = [message["role"] for message in request.get("messages", [])]
    return "System role not supported" if "system" in roles else None


def test_a_template_that_takes_no_system_message_names_the_flag_before_the_run(one, toy):
    toy.refuses = gemma
    result, record = one()
    assert (result.returncode, record, len(result.stderr.splitlines())) == (2, None, 1)
    assert "System role not supported): give --system_prompt false" in result.stderr
    result, record = one("--system_prompt", "false")
    assert (result.returncode, [message["role"] for message in record["prompt"]]) == (0, ["user"])


def test_a_sample_that_is_refused_for_its_system_message_names_the_flag_too(one, toy):
    toy.fault = lambda request: 400 if gemma(request) else None
    toy.refusal = "Conversation roles must alternate user/assistant/user/assistant/..."
    result, record = one()
    assert (result.returncode, record) == (1, None)
    assert "give --system_prompt false" in result.stdout


def test_what_else_a_server_takes_is_sent_with_samples_and_templates_and_recorded(one, toy):
    asked, extra = [], {"chat_template_kwargs": {"enable_thinking": True}, "top_k": 20}
    toy.refuses = asked.append
    result, record = one("--extra_body", json.dumps(extra))
    assert result.returncode == 0
    assert {key: record["generation_config"][key] for key in extra} == extra
    assert {key: toy.requests[0][key] for key in extra} == extra
    templates = [request for request in asked if "add_generation_prompt" in request]
    assert templates
    assert all(request["chat_template_kwargs"] == extra["chat_template_kwargs"] for request in templates)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ("{", "EXTRA_BODY is not JSON"),
        ("[1]", "EXTRA_BODY is a JSON object"),
        ('{"n": 2, "top_k": 20}', "EXTRA_BODY may not set n: the script sends that itself"),
        ('{"temperature": 1}', "EXTRA_BODY may not set temperature"),
        ('{"echo": true}', "EXTRA_BODY may not set echo"),
    ],
)
def test_an_extra_body_that_is_none_or_sets_what_a_setting_sets_is_refused(one, extra, sentence):
    result, _ = one("--extra_body", extra)
    assert (result.returncode, len(result.stderr.splitlines()), sentence in result.stderr) == (2, 1, True)
