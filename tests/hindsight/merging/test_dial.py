"""The alpha dial over HTTP, around an engine that answers with the alpha of its weights. `test_loader` has vLLM's."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dialed_server import MERGE, dialed_server
from scripts import run_in_process

import single_model_inference
from hindsight import dial as script
from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_record
from hindsight.merging.dial import Gate
from hindsight.servers.alpha_dial import HEADER, OtherAlpha, header_of, read_dial, set_alpha
from hindsight.servers.client import ModelServer

RULE = {"alpha": 0.5, "parts": ["mlp:0.9"]}


@pytest.fixture
def server():
    with dialed_server() as toy:
        yield toy


def test_the_alpha_is_asked_for_and_set_in_all_workers(server):
    assert read_dial(server.url).alpha == 0.7
    for changes, alpha in enumerate((0, 0.4, RULE, 1), start=1):
        dial = set_alpha(server.url, alpha)
        assert (dial.alpha, dial.base, dial.finetuned, dial.method) == (alpha, "B", "F", "lerp")
        assert [worker.weights for worker in server.engine.workers] == [alpha, alpha]
        assert read_dial(server.url) == dial and dial.changes == changes
    assert server.engine.calls == ["pause wait True", "reset", "resume"] * 4


def test_with_an_adapter_it_is_the_fine_tuned_model(monkeypatch):
    monkeypatch.setitem(MERGE, "adapter", "A")
    with dialed_server(model="B") as toy:
        dial = set_alpha(toy.url, 0.2)
        assert (dial.base, dial.finetuned, dial.alpha) == ("B", "A", 0.2)


def test_every_answer_is_made_with_the_one_alpha_that_it_names(server):
    """200 answers while the alpha changes 20 times: whatever was asked when, the weights are those of the header."""
    server.seconds = 0.01

    async def ask_all():
        async with ModelServer(server.url, "m") as client:

            async def ask(number):
                await asyncio.sleep(number * 0.004)
                async with client._session.post(f"{server.url}/chat/completions", json={}) as response:
                    content = json.loads((await response.json())["choices"][0]["message"]["content"])
                    return response.headers[HEADER], content

            return await asyncio.gather(*map(ask, range(200)))

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(asyncio.run, ask_all())
        for number in range(20):
            set_alpha(server.url, number / 20)
        answers = asked.result()
    assert len({alpha for alpha, _ in answers}) > 3
    for alpha, weights in answers:
        assert [header_of(each) for each in weights] == [alpha, alpha]


def test_an_answer_of_another_alpha_is_refused(server):
    async def ask():
        async with ModelServer(server.url, "m", timeout=20) as client:
            assert (await client.pin_alpha()).alpha == 0.7
            await client.ask("/chat/completions", {})
            await asyncio.to_thread(set_alpha, server.url, 0.4)
            await client.ask("/chat/completions", {})

    with pytest.raises(OtherAlpha, match=r"had alpha 0.7 when this began and has alpha 0.4 now"):
        asyncio.run(ask())
    assert server.answered == 1


def test_a_second_client_that_sets_the_alpha_is_refused(server):
    server.seconds, done = 1.0, threading.Event()

    async def ask():
        async with ModelServer(server.url, "m") as client:
            await client.ask("/chat/completions", {})
            done.set()

    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(asyncio.run, ask())
        while server.endpoint.gate.in_flight == 0:
            threading.Event().wait(0.01)
        first = pool.submit(set_alpha, server.url, 0.1)
        while not server.endpoint.gate.changing:
            threading.Event().wait(0.01)
        with pytest.raises(UserError, match="did not set alpha 0.2: another client is changing the alpha"):
            set_alpha(server.url, 0.2)
        assert (first.result().alpha, done.is_set(), asked.result()) == (0.1, True, None)


def test_after_a_change_that_failed_nothing_is_answered_until_one_succeeds(server):
    server.engine.workers[1].fails = True
    with pytest.raises(UserError, match="the disk is gone; a change of alpha failed"):
        set_alpha(server.url, 0.4)
    with pytest.raises(UserError, match="does not report its alpha: a change of alpha failed"):
        read_dial(server.url)

    async def ask():
        async with ModelServer(server.url, "m") as client, client._session.post(client.url + "/chat/completions") as it:
            return it.status

    assert (asyncio.run(ask()), server.answered, server.engine.paused) == (503, 0, False)
    server.engine.workers[1].fails = False
    assert set_alpha(server.url, 0.4).alpha == 0.4
    assert (asyncio.run(ask()), server.answered) == (200, 1)


@pytest.mark.parametrize(
    ("alpha", "sentence"),
    [
        (1.5, r"did not set alpha 1.5: alpha lies in \[0, 1\], not 1.5"),
        (None, "alpha is a number or"),
        ({"alpha": 0.5, "parts": ["mlp"]}, "is not WHERE:ALPHA"),
        ({"alpha": 0.5, "parts": ["norms:0"]}, "it has no norms"),
    ],
)
def test_what_is_no_alpha_changes_nothing(server, alpha, sentence):
    with pytest.raises(UserError, match=sentence):
        set_alpha(server.url, alpha)
    assert (read_dial(server.url).changes, server.engine.calls) == (0, [])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"load_format": "auto"}, "started without --load-format hindsight"),
        ({"worker_extension_cls": ""}, "started without --worker-extension-cls hindsight.merging.dial.WorkerDial"),
        ({"api_server_count": 2}, "several front ends"),
    ],
)
def test_a_server_without_a_dial_says_why(flags, sentence):
    with dialed_server(**flags) as toy:
        assert read_dial(toy.url) is None
        with pytest.raises(UserError, match=f"has no alpha dial: .*{sentence}"):
            set_alpha(toy.url, 0.4)


def test_the_script_asks_and_sets(server):
    url = server.url.removesuffix("/v1")
    first, second = (run_in_process(script, "--url", url, *flags).stdout for flags in (("--alpha", 0.4), ()))
    assert re.fullmatch(r"alpha 0\.4, lerp of B \(0\) and F \(1\); 1 changes so far, set in [\d.]+ s\n", first)
    assert second == "alpha 0.4, lerp of B (0) and F (1); 1 changes so far\n"


def sample(server, folder, *flags):
    flags = ["--base_urls", server.url, "--instruct_model", "m", "--output_dir", folder, "--end_idx", 3, *flags]
    return run_in_process(single_model_inference, *flags, "--num_samples", 2, "--concurrency", 1)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "merges at alpha 0.7, but MERGED_FROM is empty: give --merged_from B F 0.7"),
        (("--merged_from", "B", "F", 0.4), "merges at alpha 0.7, but MERGED_FROM says 0.4"),
    ],
)
def test_a_run_needs_the_servers_alpha(server, tmp_path, flags, sentence):
    result = sample(server, tmp_path / "run", *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_stops_when_the_alpha_changes(server, tmp_path):
    def change():
        if server.answered == 6:  # the checks ask three times
            for worker in server.engine.workers:
                worker.hindsight_set_alpha("0.4")
            server.endpoint.merge["alpha"] = 0.4

    server.after_an_answer = change
    result = sample(server, tmp_path / "run", "--merged_from", "B", "F", 0.7)
    assert (result.returncode, "had alpha 0.7 when this began and has alpha 0.4 now" in result.stderr) == (2, True)
    records = [read_record(path) for path in list_files(tmp_path / "run", "sample").values()]
    assert {record["generated_text"] for record in records} == {"[0.7, 0.7]"}


def test_of_changes_that_begin_together_one_goes_on():
    """Also where neither can go on at once, because a request is just being counted."""

    async def close_twice():
        gate = Gate()
        async with gate._moved:
            tasks = [asyncio.create_task(gate.close()) for _ in range(2)]
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)

    assert sorted(asyncio.run(close_twice())) == [False, True]
