"""Pushes to the Hub's stand-in, and one sentence for everything that the Hub's client raises."""

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled

from hindsight.errors import UserError
from hindsight.servers.hub_repository import HubRepository


@pytest.fixture
def repository(hub):
    return HubRepository("me/x")


def test_a_push_makes_the_repository_and_the_branch_and_deletes_what_is_stale(hub, repository, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert repository.files() is None
    assert repository.push({"config.json": tmp_path / "config.json", "old.json": b"[]"}, "one", "alpha_0.7")
    assert (repository.files(), repository.files("alpha_0.9")) == ([".gitattributes"], None)
    assert not repository.push({"config.json": b"{}"}, "the same", "alpha_0.7")
    assert repository.push({"config.json": b"{ }"}, "two", "alpha_0.7", stale=["old.json"])
    assert hub.files("me/x", revision="alpha_0.7") == {".gitattributes": b"", "config.json": b"{ }"}
    assert hub.repositories["model", "me/x"].branches["alpha_0.7"].commits == ["initial", "one", "two"]
    assert repository.branches() == ["alpha_0.7", "main"]
    assert (repository.download("alpha_0.7", ["*.json"]) / "config.json").read_bytes() == b"{ }"


def test_the_page_of_a_repository(hub):
    assert HubRepository("me/x").address() == f"{hub.url}/me/x"
    assert HubRepository("me/x", "dataset").address("v1") == f"{hub.url}/datasets/me/x/tree/v1"


def test_a_card_that_the_hub_refuses_is_named_with_the_fault(repository):
    card = b"---\nbase_model: /home/me/base\n---\n"
    expected = 'the Hub did not accept me/x: Invalid metadata in README.md. - "base_model" with value "/home/me/base"'
    with pytest.raises(UserError, match=expected):
        repository.push({"README.md": card}, "a path")


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionError("Network error: reset\nmore"), "the connection to me/x broke off (Network error: reset)"),
        (
            caused(RuntimeError("Error while uploading 'a'."), OSError("pipe")),
            "broke off (Error while uploading 'a': pipe)",
        ),
        (OfflineModeIsEnabled("offline"), "me/x cannot be reached: HF_HUB_OFFLINE is set"),
        (ValueError(""), "the Hub did not accept me/x: ValueError"),
    ],
)
def test_what_the_client_raises_is_one_sentence(repository, monkeypatch, error, sentence):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_commit", refuse)
    with pytest.raises(UserError) as raised:
        repository.push({"a": b"a"}, "a")
    assert sentence in str(raised.value)
