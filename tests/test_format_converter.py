"""Step 2 as a user runs it: rules word for word, the reformatting model kept honest, nothing written that failed."""

import json

import pytest
from scripts import run_script

from hindsight.formats import Sections, parse, render
from hindsight.records import list_files

CODE = "```python\nprint(input())\n```"
PLAIN = f"[begin_of_thought]\n\nHm, echo.\n\n[end_of_thought]\n\n[begin_of_solution]\n\n{CODE}\n\n[end_of_solution]"
LOOSE = f"First try.\n```\nprint(1)\n```\nNo, better:\n{CODE}\nDone."


@pytest.fixture
def run_folder(tmp_path):
    """Writes raw answers as files of a run, one sample a text; answers without `finish_reason` as the original's."""

    def write(*texts):
        for number, text in enumerate(texts):
            record = {"prompt": "", "generated_text": text, "metadata": {}, "question_id": number, "sample_index": 0}
            (tmp_path / f"question_{number}_sample_0.json").write_text(json.dumps({**record, "more": number}))
        return tmp_path

    return write


def convert(folder, *flags, **environment):
    environment = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **environment}
    return run_script("format_converter.py", "--input_dir", folder, *flags, **environment)


def converted(folder):
    return [json.loads(path.read_text()) for path in list_files(folder, "converted").values()]


def test_an_answer_with_the_structure_is_rewritten_word_for_word(run_folder):
    folder = run_folder(PLAIN)
    assert convert(folder).returncode == 0
    (record,) = converted(folder)
    assert record["converted_text"] == render("Hm, echo.", CODE)
    assert (record["conversion"]["how"], record["more"], record["generated_text"]) == ("rules", 0, PLAIN)


def test_without_a_model_the_last_block_is_the_solution_and_what_has_none_is_counted(run_folder):
    folder = run_folder(LOOSE, "only talk", PLAIN)
    result = convert(folder)
    assert (result.returncode, "2 converted" in result.stdout) == (1, True)
    assert "1 failed: it has neither the sections nor a code block" in result.stdout
    first = converted(folder)[0]
    assert first["conversion"] == {"how": "rules", "rule": "last code block"}
    assert parse(first["converted_text"]) == Sections("First try.\n```\nprint(1)\n```\nNo, better:", f"{CODE}\nDone.")


def test_the_output_can_go_to_another_folder(run_folder, tmp_path):
    folder = run_folder(PLAIN)
    convert(folder, "--output_dir", tmp_path / "other")
    assert len(converted(tmp_path / "other")) == 1
    assert list_files(folder, "converted") == {}


def test_converted_answers_are_not_converted_again(run_folder):
    folder = run_folder(PLAIN, LOOSE)
    convert(folder)
    before = {path: path.stat().st_mtime_ns for path in list_files(folder, "converted").values()}
    assert "2 answers, 2 converted before" in convert(folder).stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_model_is_asked_only_for_what_rules_do_not_decide(run_folder, toy):
    folder = run_folder(PLAIN, LOOSE)
    toy.answer = lambda request: render("First try.", CODE)
    result = convert(folder, "--llm_model", "reformatter", "--llm_url", toy.url)
    assert result.returncode == 0, result.stdout + result.stderr
    (request,) = toy.requests
    assert request["messages"][-1]["content"] == LOOSE
    conversion = converted(folder)[1]["conversion"]
    assert (conversion["how"], conversion["model"], conversion["temperature"]) == ("llm", "reformatter", 0.7)
    assert conversion["usage"]["prompt_tokens"] == 7


def test_the_servers_address_and_key_may_come_from_the_environment(run_folder, toy):
    folder = run_folder(LOOSE)
    toy.answer = lambda request: render("First try.", CODE)
    assert convert(folder, "--llm_model", "reformatter", OPENAI_BASE_URL=toy.url, OPENAI_API_KEY="k").returncode == 0


@pytest.mark.parametrize(
    ("answer", "finish", "reason"),
    [
        (render("First try.", "```python\nprint(int(input()))\n```"), "stop", "changed the code"),
        ("It echoes its input.", "stop", "did not write the sections"),
        (render("First try.", CODE), "length", "ended with 'length'"),
        ("", "stop", "did not write the sections"),
    ],
)
def test_a_conversion_that_does_not_hold_leaves_no_file(run_folder, toy, answer, finish, reason):
    folder = run_folder(LOOSE)
    toy.answer, toy.finish = lambda request: answer, finish
    result = convert(folder, "--llm_model", "reformatter", "--llm_url", toy.url)
    assert (result.returncode, converted(folder)) == (1, [])
    assert reason in result.stdout


def test_an_error_of_the_server_is_never_an_answer(run_folder, toy):
    folder = run_folder(LOOSE)
    toy.fault = lambda request: 400
    result = convert(folder, "--llm_model", "reformatter", "--llm_url", toy.url)
    assert (result.returncode, converted(folder)) == (1, [])
    assert "status 400" in result.stdout


def test_a_broken_file_among_good_ones_is_named(run_folder):
    folder = run_folder(PLAIN, PLAIN, PLAIN)
    (folder / "question_1_sample_0.json").write_text('{"generated_text": "cut')
    result = convert(folder)
    assert (result.returncode, len(converted(folder))) == (1, 2)
    assert "question_1_sample_0.json is not whole JSON" in result.stdout


def test_bad_input_is_one_sentence(tmp_path, toy):
    assert "there is no folder" in convert(tmp_path / "none").stderr
    assert "has no sample files" in convert(tmp_path).stderr
    (tmp_path / "question_0_sample_0.json").write_text(json.dumps({"generated_text": LOOSE}))
    for flags, sentence in (
        (["--llm_model", "gpt-4o-mini"], "gpt-4o-mini needs OPENAI_API_KEY"),
        (["--llm_model", "none", "--llm_url", toy.url], "has no model 'none'"),
        (["--llm_model", "reformatter", "--llm_url", "http://127.0.0.1:9/v1"], "no server answers"),
    ):
        result = convert(tmp_path, *flags)
        assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
