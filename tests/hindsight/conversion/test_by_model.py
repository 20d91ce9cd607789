"""Step 2 with a reformatting model, as a user runs it: the model kept honest, nothing paid for twice, budgets kept."""

import collections
import json
import time

import pytest
from loose_answers import (
    BAD_MODELS,
    CODE,
    PLAIN,
    adds_a_solution,
    answers_in_prose,
    attempt_of,
    chance,
    drops_the_thought,
    expected,
    fixes_a_bug,
    goes_on_and_on,
    good_model,
    loose,
    number_of,
)
from quick_scripts import CONVERTER
from scripts import converted, run_script, texts

from hindsight.files.runs import read_run
from hindsight.text.uniform_format import render


def test_the_model_is_asked_only_about_undecided_answers_and_tells_where_to_cut(run_folder, ask, toy):
    folder = run_folder(PLAIN, loose(1))
    result = ask(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    (request,) = toy.requests
    assert request["messages"][-1]["content"] == loose(1)
    assert request["response_format"]["type"] == "json_schema"
    assert request["max_completion_tokens"] == 512
    assert texts(folder) == [render("Hm, echo.", CODE), expected(1)]
    conversion = converted(folder)[1]["conversion"]
    assert {"how": "llm", "mode": "cut", "model": "reformatter", "temperature": 0.7}.items() <= conversion.items()
    assert {"attempts": 1, "kept": 1.0, "new": 0, "code": "equal", "known": False}.items() <= conversion.items()
    assert conversion["usage"]["prompt_tokens"] == 7


@pytest.mark.parametrize("mode", ["cut", "rewrite"])
def test_a_server_that_accepts_no_schema_is_asked_for_tags(run_folder, ask, toy, mode):
    refusal = (400, {})
    toy.fault = lambda request: refusal if "response_format" in request else None
    toy.refusal = "'response_format' is not supported"
    folder = run_folder(*[loose(number) for number in range(5)])
    result = ask(folder, "--llm_mode", mode)
    assert result.returncode == 0, result.stdout
    assert "does not accept a JSON schema" in result.stdout
    assert texts(folder) == [expected(number) for number in range(5)]
    assert converted(folder)[0]["conversion"]["structured"] is False


def test_what_else_a_server_takes_is_sent_and_recorded_and_makes_other_replies(run_folder, ask, toy):
    folder, extra = run_folder(loose(1)), {"chat_template_kwargs": {"enable_thinking": False}}
    assert ask(folder).returncode == 0
    again = run_folder(loose(1), name="again")
    assert ask(again, "--extra_body", json.dumps(extra)).returncode == 0
    assert [request.get("chat_template_kwargs") for request in toy.requests] == [None, extra["chat_template_kwargs"]]
    assert [each["conversion"].get("extra_body") for each in (converted(folder)[0], converted(again)[0])] == [
        None,
        extra,
    ]
    assert "EXTRA_BODY may not set n" in ask(again, "--extra_body", '{"n": 2}').stderr


def test_a_server_that_wants_other_parameters_gets_them(run_folder, ask, toy):
    toy.refuses = lambda request: next(
        (f"{name} is not supported" for name in ("max_completion_tokens", "temperature") if name in request), None
    )
    folder = run_folder(loose(1))
    result = ask(folder)
    assert (result.returncode, texts(folder)) == (0, [expected(1)])
    assert (toy.requests[-1]["max_tokens"], "temperature" in toy.requests[-1]) == (512, False)
    assert f"{toy.url} does not take temperature, which is not sent" in result.stderr + result.stdout
    conversion = converted(folder)[0]["conversion"]
    assert (conversion["not_sent"], "temperature" in conversion) == (["temperature"], False)


@pytest.mark.parametrize("structured", ["true", "false"])
def test_rewriting_keeps_both_sections_as_the_model_wrote_them(run_folder, ask, toy, structured):
    folder = run_folder(loose(3))
    assert ask(folder, "--llm_mode", "rewrite", "--structured_output", structured).returncode == 0
    assert texts(folder) == [expected(3)]
    assert ("response_format" in toy.requests[0]) == (structured == "true")


def test_rules_never_asks_about_every_answer_and_only_asks_about_none(run_folder, ask, toy):
    folder = run_folder(loose(1), loose(2).replace("print(2)", "2"))
    assert ask(folder, "--rules", "only").returncode == 0
    assert toy.requests == []
    again = run_folder(loose(1), 5, name="never")
    assert "1 failed: a broken file: " in ask(again, "--rules", "never").stdout
    assert len(toy.requests) == 1
    assert converted(again)[0]["conversion"]["how"] == "llm"


@pytest.mark.parametrize(("mode", "structured"), [("cut", "true"), ("rewrite", "false")])
@pytest.mark.parametrize(
    ("model", "cut_reason", "rewrite_reason"),
    [
        (fixes_a_bug, "no code block of the answer has both", "the program is not one of the answer's"),
        (drops_the_thought, "thought_end occurs nowhere in the answer", "of the answer's words are kept"),
        (adds_a_solution, "the reply", "words are not in the answer|the program is not one|it has two programs"),
        (answers_in_prose, "the reply", "the reply"),
        (goes_on_and_on, "finish reason 'length'", "finish reason 'length'"),
    ],
)
def test_a_model_that_changes_the_answer_is_asked_again_and_then_not_kept(
    run_folder, ask, toy, model, cut_reason, rewrite_reason, mode, structured
):
    folder = run_folder(loose(4))
    toy.answer = model
    result = ask(folder, "--llm_mode", mode, "--structured_output", structured, "--retries", 1)
    assert (result.returncode, converted(folder)) == (1, [])
    assert "1 failed: no conversion could be kept: " in result.stdout
    reasons = (cut_reason if mode == "cut" else rewrite_reason).split("|")
    assert any(reason in result.stdout for reason in reasons), result.stdout
    assert [attempt_of(request) for request in toy.requests] == [1, 2]
    complaint = toy.requests[1]["messages"][-1]["content"]
    assert complaint.startswith("That cannot be kept: ") and any(reason in complaint for reason in reasons)


def test_a_late_correct_reply_is_kept_with_the_cost_of_all_replies(run_folder, ask, toy):
    folder = run_folder(loose(4))
    toy.answer = lambda request: (good_model if attempt_of(request) == 3 else fixes_a_bug)(request)
    assert ask(folder).returncode == 0
    conversion = converted(folder)[0]["conversion"]
    assert (conversion["attempts"], conversion["usage"]["prompt_tokens"]) == (3, 21)
    bill = read_run(folder)["steps"][CONVERTER]["bill"]
    assert (bill["requests"], bill["prompt_tokens"]) == (3, 21)
    assert bill["dollars"] == pytest.approx((21 * 0.15 + bill["completion_tokens"] * 0.6) / 1e6, abs=1e-6)


FAULTS = ((429, {"Retry-After": "0.01"}), 500, 503, "cut", "not json", "empty", "dropped", "html", "unfinished")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cut", "rewrite"])
def test_200_conversions_are_right_or_absent_while_a_fifth_of_requests_fails(run_folder, ask, toy, mode):
    """A tenth of the requests meets a server fault, and a tenth a wrong reply."""
    asked = collections.Counter()

    def fault(request):
        number = number_of(request)
        asked[number] += 1
        draw = chance("server", number, asked[number])
        return FAULTS[int(draw * 10 * len(FAULTS))] if draw < 0.1 else None

    def model(request):
        draw = chance("a model", number_of(request), attempt_of(request))
        return (BAD_MODELS[int(draw * 10 * len(BAD_MODELS))] if draw < 0.1 else good_model)(request)

    toy.fault, toy.answer = fault, model
    folder = run_folder(*[loose(number) for number in range(200)])
    result = ask(folder, "--llm_mode", mode, "--retries", 1)
    found = {record["question_id"]: record["converted_text"] for record in converted(folder)}
    assert found == {number: expected(number) for number in found}
    lost = [n for n in range(200) if all(chance("a model", n, attempt) < 0.1 for attempt in (1, 2))]
    assert sorted(set(range(200)) - set(found)) == lost
    assert (result.returncode, f"{200 - len(lost)} converted" in result.stdout) == (1, True)
    assert sum(int(line.split()[0]) for line in result.stdout.splitlines() if " failed: " in line) == len(lost) > 0
    assert len(toy.requests) > 220


def test_many_429_replies_cost_only_time(run_folder, ask, toy):
    until = time.monotonic() + 1
    toy.fault = lambda request: (429, {"Retry-After": "0.05"}) if time.monotonic() < until else None
    folder = run_folder(*[loose(number) for number in range(40)])
    assert ask(folder).returncode == 0
    assert texts(folder) == [expected(number) for number in range(40)]


def test_the_same_text_is_paid_for_once_in_a_run_and_in_the_next(run_folder, ask, toy):
    folder = run_folder(*[loose(5)] * 20, loose(6))
    assert ask(folder).returncode == 0
    assert sorted(map(number_of, toy.requests)) == [5, 6]
    assert sum(record["conversion"]["known"] for record in converted(folder)) == 19
    other = run_folder(loose(6), loose(5), name="other")
    result = ask(other)
    assert "2 answers need the LLM, 0 requests are new" in result.stdout
    assert (texts(other), len(toy.requests)) == ([expected(6), expected(5)], 2)


def test_a_failed_text_is_requested_again_only_in_the_next_run(run_folder, ask, toy):
    toy.answer = answers_in_prose
    folder = run_folder(*[loose(5)] * 10)
    assert "10 failed" in ask(folder, "--retries", 1).stdout
    assert len(toy.requests) == 2
    toy.answer = good_model
    assert ask(folder, "--retries", 1).returncode == 0
    assert len(toy.requests) == 3


def test_cached_replies_are_checked_again(run_folder, ask, toy, tmp_path):
    folder = run_folder(loose(5))
    ask(folder)
    (path,) = (tmp_path / "cache").glob("*/*.json")
    path.write_text(path.read_text().replace("number 5", "number 6"))
    again = run_folder(loose(5), name="again")
    assert ask(again).returncode == 0
    assert (texts(again), len(toy.requests)) == ([expected(5)], 2)
    path.write_text("{")
    assert ask(run_folder(loose(5), name="third")).returncode == 0


def test_a_dry_run_reports_the_cost_and_sends_no_request(run_folder, ask, toy):
    folder = run_folder(PLAIN, loose(1), loose(1), loose(2))
    result = ask(folder, "--dry_run")
    assert (result.returncode, toy.requests, len(converted(folder))) == (1, [], 1)
    assert "3 answers need the LLM, 2 requests are new: about " in result.stdout
    assert "160 completion tokens, $0.000" in result.stdout


@pytest.mark.parametrize(("budget", "price"), [("6000 tokens", 0.6), ("0.003 USD", 1.0)])
def test_a_budget_is_kept_and_the_rest_is_left_for_the_next_run(run_folder, ask, toy, budget, price):
    folder = run_folder(*[loose(number) for number in range(40)])
    prices = ["--price_prompt", price, "--price_completion", price, "--concurrency", 2]
    result = ask(folder, "--budget", budget, *prices)
    spent = read_run(folder)["steps"][CONVERTER]["bill"]
    tokens = spent["prompt_tokens"] + spent["completion_tokens"]
    assert result.returncode == 1
    assert tokens <= 6000 if "tokens" in budget else spent["dollars"] <= 0.003
    assert 1 < len(converted(folder)) < 40
    assert f"{40 - len(converted(folder))} failed: the budget of " in result.stdout
    assert ask(folder, *prices).returncode == 0
    assert texts(folder) == [expected(number) for number in range(40)]


@pytest.mark.slow
def test_the_requests_per_minute_are_limited(run_folder, ask, toy):
    """A minute lasts a second here: six requests, two per second, one sent twice after a 429."""
    seen = collections.Counter()

    def fault(request):
        seen[number_of(request)] += 1
        return 429 if number_of(request) == 0 and seen[0] == 1 else None

    toy.fault = fault
    folder = run_folder(*[loose(number) for number in range(6)])
    assert ask(folder, "--max_rpm", 2).returncode == 0
    assert len(toy.times) == 7
    assert all(later - earlier > 0.5 for earlier, later in zip(toy.times, toy.times[2:], strict=False)), toy.times


@pytest.mark.slow
def test_kills_at_any_moment_pay_for_nothing_twice(run_folder, ask, toy, tmp_path):
    toy.delay = 0.01
    folder = run_folder(*[loose(number) for number in range(60)])
    for _ in range(6):
        process = ask(folder, "--concurrency", 4, start=True)
        asked = len(toy.requests)
        while len(toy.requests) < asked + 8 and process.alive:
            time.sleep(0.002)
        process.kill()
    assert ask(folder).returncode == 0
    assert texts(folder) == [expected(number) for number in range(60)]
    assert max(collections.Counter(map(number_of, toy.requests)).values()) <= 3
    assert len(toy.requests) <= 60 + 6 * 4


@pytest.mark.slow
def test_the_servers_address_and_key_may_come_from_the_environment(run_folder, toy, tmp_path):
    toy.models, toy.answer = ("reformatter", "other"), good_model
    flags = ["--input_dir", run_folder(loose(1)), "--llm_model", "reformatter", "--cache", tmp_path / "cache"]
    result = run_script(CONVERTER, *flags, OPENAI_BASE_URL=toy.url, OPENAI_API_KEY="k")
    assert result.returncode == 0, result.stderr


def test_other_settings_in_the_same_folder_are_refused(run_folder, ask):
    folder = run_folder(loose(1))
    ask(folder)
    result = ask(folder, "--llm_mode", "rewrite")
    assert (result.returncode, "llm_mode was 'cut', is 'rewrite'" in result.stderr) == (2, True)


def test_a_server_of_several_models_needs_a_model_name(run_folder, convert, toy):
    result = convert(run_folder(PLAIN), "--llm_url", toy.url)
    assert (result.returncode, "has lab-base, lab-instruct, reformatter: name" in result.stderr) == (2, True)
