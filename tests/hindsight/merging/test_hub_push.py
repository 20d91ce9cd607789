"""Merges pushed to the Hub's stand-in by the script, and read back by name."""

import shutil

import pytest
import yaml
from adapters import LINEAR, make_adapter
from huggingface_hub import snapshot_download
from pico import pair, without_picture
from scripts import run_in_process
from toy_hub import Repository

import merge_models
from hindsight.files.records import write_json
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.hub_push import HubOptions, hub_card

pytestmark = pytest.mark.slow  # together they take seconds


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("parents"))


@pytest.fixture
def push(hub, parents, tmp_path):
    """Merges the parents and pushes to me/merged."""

    def run(*flags, base=parents[0], finetuned=parents[1], to="me/merged"):
        given = ["--base_model", base, "--finetuned_model", finetuned, "--output_dir", tmp_path / "out"]
        with without_picture():
            return run_in_process(merge_models, *given, "--max_shard_gb", 0.00001, "--push_to_hub", to, *flags)

    return run


def on_hub(hub, name, card, folder=None):
    """Puts a model on the Hub."""
    repository = hub.repositories["model", name] = Repository("public")
    repository.branches["main"].files |= {path.name: path.read_bytes() for path in (folder.iterdir() if folder else ())}
    repository.branches["main"].files["README.md"] = card.encode()


def metadata(card):
    return yaml.safe_load(card.decode().split("---\n")[1])


def test_each_alpha_is_a_private_revision_that_downloads_as_the_merge_was_written(hub, push, tmp_path):
    result = push("--alphas", 0.7, 0.9)
    assert result.returncode == 0, result.stderr
    assert f"pushed to {hub.url}/me/merged/tree/alpha_0.7" in result.stdout
    assert [(key, each.visibility) for key, each in hub.repositories.items()] == [(("model", "me/merged"), "private")]
    for name in ("alpha_0.7", "alpha_0.9"):
        here = {path.name: path.read_bytes() for path in (tmp_path / "out" / name).iterdir()}
        there = snapshot_download("me/merged", revision=name)
        assert len([file for file in here if file.endswith(".safetensors")]) > 2
        for file, content in here.items():
            assert file == "README.md" or (tmp_path / there / file).read_bytes() == content
    assert set(hub.files("me/merged")) == {".gitattributes", "README.md"}
    card = hub.files("me/merged")["README.md"].decode()
    assert f"- [alpha_0.7]({hub.url}/me/merged/tree/alpha_0.7)\n- [alpha_0.9]" in card
    assert 'from_pretrained("me/merged", revision="alpha_0.7")' in card


def test_the_same_pushed_again_makes_no_commit_and_sends_no_weights(hub, push):
    assert push("--alphas", 0.7, 0.9).returncode == 0
    before, puts = hub.commits(), hub.puts
    again = push("--alphas", 0.7, 0.9)
    assert (again.returncode, hub.commits(), hub.puts) == (0, before, puts)
    assert again.stdout.count("nothing has changed in") == 2


def test_a_later_alpha_joins_the_list_of_revisions(hub, push):
    assert push("--alphas", 0.7).returncode == 0
    assert push("--alphas", 0.9).returncode == 0
    assert list(hub.repositories["model", "me/merged"].branches) == ["main", "alpha_0.7", "alpha_0.9"]
    assert hub.files("me/merged")["README.md"].count(b"- [alpha_") == 2


def test_a_card_of_the_repository_that_the_user_wrote_stays(hub, push):
    assert push("--alphas", 0.7).returncode == 0
    hub.files("me/merged")["README.md"] = b"# Mine\n"
    result = push("--alphas", 0.9)
    assert (result.returncode, hub.files("me/merged")["README.md"]) == (0, b"# Mine\n")
    assert "has a card that is not by this script, and keeps it" in result.stdout


def test_a_broken_upload_leaves_nothing_visible_and_the_next_call_sends_only_what_is_missing(hub, push):
    hub.drop = 2
    broken = push("--alphas", 0.7)
    assert (broken.returncode, len(hub.uploads)) == (2, 1)
    sentence = broken.stderr.strip().splitlines()[-1]
    assert "the connection to me/merged broke off (Error while uploading 'model-0000" in sentence
    assert sentence.endswith("run again to resume")
    assert list(hub.files("me/merged", revision="alpha_0.7")) == [".gitattributes"]
    sent, before = set(hub.uploads), hub.puts
    hub.drop = 0
    assert push("--alphas", 0.7).returncode == 0
    shards = [name for name in hub.files("me/merged", revision="alpha_0.7") if name.endswith(".safetensors")]
    assert hub.puts - before == len(shards) - len(sent) == len(shards) - 1


def test_shards_of_an_earlier_push_go(hub, push, tmp_path):
    assert push("--alphas", 0.7).returncode == 0
    shutil.rmtree(tmp_path / "out")
    assert push("--alphas", 0.7, "--max_shard_gb", 5).returncode == 0
    files = hub.files("me/merged", revision="alpha_0.7")
    assert "model.safetensors" in files
    assert not [name for name in files if name.startswith("model-") or name.endswith("index.json")]


def test_repositories_of_their_own_and_a_named_revision(hub, push):
    assert push("--alphas", 0.7, 0.9, "--hub_layout", "repositories", "--hub_private", "false").returncode == 0
    assert push("--alphas", 0.7, to="me/best@main").returncode == 0
    names = ["me/merged-alpha_0.7", "me/merged-alpha_0.9", "me/best"]
    assert [name for _, name in hub.repositories] == names
    assert hub.repositories["model", names[0]].visibility == "public"
    assert all("merge.json" in hub.files(name) for name in names)


def test_names_have_only_letters_that_the_hub_takes():
    rules = [AlphaRule.parse(alpha, ["mlp:0.9"]) for alpha in (0.7, 0.8)]
    revisions = HubOptions("me/merged").targets(rules)
    assert [revision for _, revision in revisions] == ["alpha_0.7-mlp-0.9", "alpha_0.8-mlp-0.9"]
    repositories = HubOptions("me/merged", "repositories").targets(rules)
    assert [(each.name, revision) for each, revision in repositories] == [
        ("me/merged-alpha_0.7-mlp-0.9", "main"),
        ("me/merged-alpha_0.8-mlp-0.9", "main"),
    ]


def test_the_card_names_parents_of_the_hub(hub, push, parents):
    for name, folder in zip(("org/base", "org/instruct"), parents, strict=True):
        on_hub(hub, name, "---\nlicense: mit\n---\n", folder)
    result = push("--alphas", 0.7, base="org/base", finetuned="org/instruct")
    assert result.returncode == 0, result.stderr
    card = hub.files("me/merged", revision="alpha_0.7")["README.md"]
    found = metadata(card)
    assert (found["base_model"], found["base_model_relation"]) == (["org/base", "org/instruct"], "merge")
    assert (found["license"], found["tags"]) == ("mit", ["hindsight-merging", "merge"])
    assert b"| base | org/base @ " in card  # what the folder's own card says
    assert metadata(hub.files("me/merged")["README.md"]) == found


@pytest.mark.parametrize(
    ("base", "finetuned", "expected", "note"),
    [
        ("license: mit", "license: mit", "mit", "org/base: mit; org/instruct: mit"),
        ("license: llama3.1", "license: mit", None, "org/base: llama3.1; org/instruct: mit"),
        ("tags: []", "license: other\nlicense_name: own", None, "org/base: none; org/instruct: own"),
        ("a: [", "tags: []", None, ""),
    ],
)
def test_the_licence_is_set_if_both_parents_have_it(hub, tmp_path, base, finetuned, expected, note):
    on_hub(hub, "org/base", f"---\n{base}\n---\n")
    on_hub(hub, "org/instruct", f"---\n{finetuned}\n---\n")
    write_json(tmp_path / "merge.json", {"base": {"name": "org/base"}, "finetuned": {"name": "org/instruct"}})
    (tmp_path / "README.md").write_text("---\nbase_model: x\n---\n\n# The card\n")
    card = hub_card(tmp_path)
    assert metadata(card.encode()).get("license") == expected
    assert card.partition("# The card\n")[2] == (
        f"\nLicences, as the cards of the two models state them: {note}.\n" if note else ""
    )


def test_a_revision_can_be_merged_again_by_its_name(hub, push, tmp_path):
    assert push("--alphas", 0.7).returncode == 0
    result = push("--alphas", 0.5, "--output_dir", tmp_path / "again", base="me/merged@alpha_0.7", to="me/again@main")
    assert result.returncode == 0, result.stderr
    assert metadata(hub.files("me/again")["README.md"])["base_model"] == ["me/merged"]


def test_folders_are_no_base_models(hub, push):
    assert push("--alphas", 0.7).returncode == 0
    assert "base_model" not in metadata(hub.files("me/merged", revision="alpha_0.7")["README.md"])


def test_adapters_are_pushed_as_adapters(hub, push, parents, tmp_path):
    adapter = make_adapter(tmp_path / "adapter", parents[0], target_modules=LINEAR)
    result = push("--alphas", 0.3, 0.7, "--as_adapters", finetuned=adapter)
    assert result.returncode == 0, result.stderr
    files = hub.files("me/merged", revision="alpha_0.3")
    assert {"adapter_model.safetensors", "adapter_config.json", "scaled_adapter.json"} < set(files)
    assert metadata(files["README.md"])["library_name"] == "peft"
    assert b"PeftModel.from_pretrained" in hub.files("me/merged")["README.md"]
    before = hub.commits()
    assert (push("--alphas", 0.3, 0.7, "--as_adapters", finetuned=adapter).returncode, hub.commits()) == (0, before)


@pytest.mark.parametrize(
    ("to", "flags", "sentence"),
    [
        ("me", [], "'me' lacks its owner: give OWNER/NAME, such as me/me"),
        ("me/a/b", [], "'me/a/b' cannot be a repository of the Hub"),
        ("me/no good", [], "'me/no good' cannot be a repository of the Hub"),
        ("me/merged@main", ["--alphas", 0.7, 0.9], "me/merged@main names one revision, and there are 2 alphas"),
        ("me/merged", ["--hub_layout", "tags"], "HUB_LAYOUT is revisions or repositories, not 'tags'"),
        ("me/other", [], "me/other@alpha_0.7 holds files that merge_models.py did not push: give another name"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_merged(hub, push, tmp_path, to, flags, sentence):
    other = hub.repositories["model", "me/other"] = Repository(None)
    other.branches["main"].files["model.safetensors"] = b"somebody else's"
    result = push(*flags, to=to)
    lines = result.stderr.strip().splitlines()
    assert (result.returncode, len(lines), sentence in lines[0]) == (2, 1, True), result.stderr
    assert not (tmp_path / "out").exists()


def test_a_hub_that_refuses_is_one_sentence(hub, push, monkeypatch):
    assert "the token may not write to you/merged: You don't have the rights" in push(to="you/merged").stderr
    monkeypatch.setenv("HF_TOKEN", "wrong")
    assert "the Hub refuses the token: Invalid" in push().stderr
    monkeypatch.delenv("HF_TOKEN")
    assert "the Hub needs a token that may write: set HF_TOKEN, or run `hf auth login`" in push().stderr
    monkeypatch.setenv("HF_TOKEN", "right")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    result = push()
    assert (result.returncode, "http://127.0.0.1:9 cannot be reached (" in result.stderr) == (2, True), result.stderr
