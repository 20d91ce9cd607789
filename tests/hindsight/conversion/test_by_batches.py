"""Reformatting by the batch endpoint: half the price, several rounds, and a run killed at any point pays once."""

import collections
import json
import time

import pytest
import quick_scripts
from loose_answers import answers_in_prose, attempt_of, expected, fixes_a_bug, good_model, loose, number_of
from quick_scripts import CONVERTER
from toy_batches import BatchServer

from hindsight.conversion import batch_files
from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run

pytestmark = pytest.mark.slow  # together they take over ten seconds


@pytest.fixture
def server():
    with BatchServer() as server:
        server.answer = good_model
        yield server


@pytest.fixture
def folder(tmp_path):
    """Thirty answers for the model, two of them equal, and one for the rules."""
    folder = tmp_path / "run"
    folder.mkdir()
    for number in range(31):
        text = loose(min(number, 28)) if number < 30 else "<think>Hm.</think>\n```python\nprint(1)\n```"
        record = {"prompt": "", "generated_text": text, "metadata": {}, "question_id": number, "sample_index": 0}
        (folder / f"question_{number}_sample_0.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def convert(server, folder, tmp_path):
    def run(*flags, start=False):
        said = tmp_path / "said" / str(time.monotonic_ns())
        flags = ["--input_dir", folder, "--cache", tmp_path / "cache", "--llm_url", server.url, "--batch", *flags]
        return (quick_scripts.start if start else quick_scripts.run)(said, CONVERTER, *flags)

    return run


def texts(folder):
    """The converted texts of the model's answers."""
    records = (json.loads(path.read_text()) for path in list_files(folder, "converted").values())
    return {each["question_id"]: each["converted_text"] for each in records if each["question_id"] < 30}


EVERYTHING = {number: expected(min(number, 28)) for number in range(30)}


def test_a_batch_is_sent_waited_for_and_collected_at_half_the_price(convert, server, folder):
    server.ready = False
    process = convert(start=True)
    while server.polls < 3:
        time.sleep(0.01)
    assert texts(folder) == {}
    server.ready = True
    result = process.wait()
    assert (result.returncode, len(server.batches), texts(folder)) == (0, 1, EVERYTHING)
    assert len(server.requests) == 29, "the same text is asked about once"
    bill = read_run(folder)["steps"][CONVERTER]["bill"]
    assert (bill["requests"], bill["prompt_tokens"]) == (29, 29 * 7)
    assert bill["dollars"] == pytest.approx((29 * 7 * 0.15 + bill["completion_tokens"] * 0.6) / 2e6, abs=1e-6)


def test_rejected_replies_go_into_the_next_rounds_batch_and_are_then_given_up(convert, server, folder):
    def model(request):
        if number_of(request) == 3:
            return answers_in_prose(request)
        return (fixes_a_bug if number_of(request) % 5 == 0 and attempt_of(request) == 1 else good_model)(request)

    server.answer = model
    result = convert("--retries", 1)
    sizes = [len(server.files[batch["input_file_id"]].splitlines()) for batch in server.batches.values()]
    assert (result.returncode, sizes) == (1, [29, 7])
    assert texts(folder) == {number: text for number, text in EVERYTHING.items() if number != 3}
    assert "1 failed: no conversion could be kept: the reply" in result.stdout
    server.answer = good_model
    assert convert("--retries", 1).returncode == 0
    assert texts(folder) == EVERYTHING


@pytest.mark.parametrize("deaf", [False, True])
def test_a_kill_while_waiting_or_before_the_batch_is_known_sends_nothing_twice(convert, server, folder, deaf):
    server.ready, server.deaf = False, deaf
    process = convert(start=True)
    while not server.batches or (not deaf and server.polls < 2):
        time.sleep(0.01)
    process.kill()
    server.ready, server.deaf = True, False
    made = len(server.batches)
    assert convert().returncode == 0
    assert (len(server.batches), texts(folder)) == (made, EVERYTHING)
    assert set(collections.Counter(map(number_of, server.requests)).values()) == {1}


def test_a_kill_between_any_two_files_is_resumed(convert, server, folder, tmp_path):
    """Each state that a kill can leave behind: without the replies, and with them but not the next round's mark."""
    server.answer = lambda request: (fixes_a_bug if attempt_of(request) == 1 else good_model)(request)
    assert convert().returncode == 0
    asked = len(server.requests)
    first = folder / "batches" / "0001.json"
    first.write_text(json.dumps({"id": "batch_0", "status": "completed"}))
    for path in list_files(folder, "converted").values():
        path.unlink()
    assert convert().returncode == 0
    assert (len(server.requests), texts(folder)) == (asked, EVERYTHING)
    first.write_text(json.dumps({"id": "batch_0", "status": "completed"}))
    (folder / "batches" / "0001.replies.jsonl").unlink()
    assert convert().returncode == 0
    assert len(server.requests) == asked


@pytest.mark.parametrize("ending", ["failed", "expired", "cancelled"])
def test_a_failed_batch_is_reported_and_the_rest_is_requested_again(convert, server, folder, ending):
    server.ending = ending
    result = convert()
    assert result.returncode == 1
    assert f"failed: no reply came: the batch ended as {ending}" in result.stdout
    server.ending = "completed"
    assert convert().returncode == 0
    assert texts(folder) == EVERYTHING


def test_a_lost_request_is_counted_and_sent_again_by_the_next_run(convert, server, folder):
    lost = []
    server.lost = lambda key: not lost and not lost.append(key)
    result = convert()
    assert (result.returncode, "1 failed: no reply came: it is lost" in result.stdout) == (1, True)
    assert convert().returncode == 0
    assert (len(server.requests), texts(folder)) == (29, EVERYTHING)


def test_a_cached_reply_that_is_no_longer_valid_is_requested_again(convert, server, folder, tmp_path):
    assert convert().returncode == 0
    path = next((tmp_path / "cache").glob("*/*.json"))
    path.write_text(path.read_text().replace("int(input())", "input()"))
    for converted in list_files(folder, "converted").values():
        converted.unlink()
    assert convert().returncode == 0
    assert (len(server.requests), texts(folder)) == (30, EVERYTHING)


def test_a_budget_limits_the_requests(convert, server, folder):
    result = convert("--budget", "9000 tokens")
    assert result.returncode == 1
    assert 2 < len(server.requests) < 29
    assert "failed: the budget of 9,000 tokens might not be enough for it" in result.stdout


def test_a_large_set_is_split_into_several_batches(folder, monkeypatch):
    monkeypatch.setattr(batch_files, "MOST_REQUESTS", 10)
    batch_files.BatchFiles(folder / "batches").add((str(number), {"messages": []}) for number in range(25))
    sizes = [len(path.read_bytes().splitlines()) for path in sorted((folder / "batches").glob("*.requests.jsonl"))]
    assert sizes == [10, 10, 5]


def test_a_server_without_the_endpoint_is_reported_in_one_sentence(convert, server):
    server.has_batches = False
    result = convert()
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert result.stderr.splitlines()[-1] == "format_converter.py: the batch endpoint refuses: Error code: 404"
