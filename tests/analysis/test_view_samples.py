"""analysis/view_samples.py as a user runs it: what the file holds, and what Chromium, if installed, shows of it."""

import base64
import json
import random
import re
import zlib

import pytest
from browser import CHROMIUM, Browser
from scripts import ROOT, run_in_process, run_script

from analysis import view_samples
from analysis.page.page import pack
from analysis.page.shown_record import prompt_parts
from analysis.page.text_parts import text_parts
from analysis.view_samples import model_of
from hindsight.files.answer_files import converted_path, sample_path
from hindsight.files.records import write_json
from hindsight.text.uniform_format import render

HOSTILE = (
    "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 1'><!-- {{script}} &lt; "
    "one\u2028two\u2029 nul\0 half\ud83d \U0001f600 \u202ebackwards"
)
PROGRAM = "for i in range(2):  # twice\n    print('x', 0x1F)"
FAILED = {"index": 1, "passed": False, "reason": "wrong answer", "input": "1 2\n", "expected": HOSTILE, "output": ""}


def write_answer(folder, question_id, sample_index, text, converted=None, **more):
    """An answer as step 1 leaves it, and with `converted` as step 2 or 3 does."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "prompt": [{"role": "system", "content": "Solve."}, {"role": "user", "content": f"problem {question_id}"}],
        "generated_text": text,
        "metadata": {"question": f"Question {question_id}", "input_output": "the tests", "difficulty": "EASY"},
        "question_id": question_id,
        "sample_index": sample_index,
        "generation_config": {"model": "m", "seed": 12345678901234567890},
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 17},
    }
    write_json(sample_path(folder, question_id, sample_index), {**record, **(more if converted is None else {})})
    if converted is not None:
        write_json(converted_path(folder, question_id, sample_index), {**record, "converted_text": converted, **more})


def view(folders, output, *flags):
    return run_in_process(view_samples, "--input_dirs", *folders, "--output", output, *flags)


def read_page(path):
    """The index and the answers of a page, as its script reads them."""
    text = path.read_text(encoding="utf-8")
    index = json.loads(re.search(r'<script type="application/json" id="index">(.*?)</script>', text, re.DOTALL)[1])
    packed = re.findall(r'<script type="text/plain" class="chunk">(.*?)</script>', text)
    chunks = [json.loads(zlib.decompress(base64.b64decode(chunk))) for chunk in packed]
    answers = [
        {
            **answer,
            "prompt": json.loads(chunk["shared"][answer["prompt"]]),
            "question": chunk["shared"][answer["question"]],
        }
        for chunk in chunks
        for answer in chunk["answers"]
    ]
    return index, answers


@pytest.fixture
def runs(tmp_path):
    """A merged model's run with a correct, a hostile and an unconverted answer, and a switching run of one answer."""
    merged, switching = tmp_path / "merged", tmp_path / "turns"
    uniform = render("think", f"```python\n{PROGRAM}\n```")
    write_answer(merged, 2, 0, f"<think>{HOSTILE}", correctness=None)
    write_answer(merged, 1, 0, uniform, uniform, correctness=True, correctness_reason="", test_results=[])
    bad = render(HOSTILE, f"{HOSTILE}\n\n```python\n{PROGRAM}\n{HOSTILE}\n```")
    tests = [{"index": 0, "passed": True, "reason": "", "seconds": 0.1}, FAILED]
    why = "runtime error: </script><b>Error"
    write_answer(merged, 1, 1, bad, bad, correctness=False, correctness_reason=why, test_results=tests)
    write_json(merged / "run.json", {"script": "x", "settings": {"merged_from": ["a", "b", "0.7"]}, "models": ["m"]})
    segments = [
        {"model": "instruct", "start": 7, "end": 9, "tokens": 2},
        {"model": "base", "start": 9, "end": 11, "tokens": 1},
    ]
    write_answer(switching, 1, 0, "<think>\U0001f600AB\U0001f601", segments=segments)
    return merged, switching


def test_the_file_holds_what_the_records_hold(runs, tmp_path):
    result = view(runs, tmp_path / "page.html")
    assert (result.returncode, "4 answers of 2 runs" in result.stdout) == (0, True), result.stdout + result.stderr
    index, answers = read_page(tmp_path / "page.html")
    assert index["runs"] == [["merged", "alpha 0.7"], ["turns", ""]]
    named = [(*row[:3], index["verdicts"][row[3]], row[4]) for row in index["rows"]]
    assert named == [
        (0, 1, 0, "correct", 17),
        (0, 1, 1, "runtime error", 17),
        (1, 1, 0, "not converted", 17),
        (0, 2, 0, "not converted", 17),
    ]
    for row, answer in zip(index["rows"], answers, strict=True):
        folder, ids = runs[row[0]], row[1:3]
        converted = converted_path(folder, *ids)
        record = json.loads((converted if converted.exists() else sample_path(folder, *ids)).read_text())
        assert answer["raw"]["text"] == record["generated_text"]
        assert (answer["converted"] or {}).get("text") == record.get("converted_text")
        assert answer["prompt"] == [["system", "Solve."], ["user", f"problem {ids[0]}"]]
        assert answer["question"] == f"Question {ids[0]}"
        assert ["seed", "12345678901234567890"] in answer["facts"]
        assert "the tests" not in answer["record"]
    hostile = answers[1]
    assert (hostile["failed"]["expected"], hostile["passed"], hostile["reason"]) == (
        HOSTILE,
        1,
        "runtime error: </script><b>Error",
    )
    assert answers[2]["segments"] == [[7, 9, "instruct", 2], [9, 11, "base", 1]]


def test_the_same_answers_give_the_same_bytes_and_only_the_pages_own_script(runs, tmp_path):
    flags = ("--input_dirs", *runs, "--output", tmp_path / "one.html")
    assert run_script("analysis/view_samples.py", *flags).returncode == 0
    assert view(runs, tmp_path / "two.html").returncode == 0
    content = (tmp_path / "one.html").read_bytes()
    assert content == (tmp_path / "two.html").read_bytes()
    assert content.count(b"</script>") == content.count(b"<script") == 3
    assert b"http:" not in content and b"https:" not in content
    assert "\u2028" not in content.decode()


def test_different_problems_with_one_id_are_both_in_its_title(runs, tmp_path):
    for number, question in enumerate(("Add.", "Add.", "Count.", "")):
        write_answer(runs[number % 2], 9, number, "text", metadata={"question": question})
    write_answer(runs[0], 9, 4, "text", metadata=None)
    assert view(runs, tmp_path / "page.html").returncode == 0
    assert [9, "Add. | Count."] in read_page(tmp_path / "page.html")[0]["titles"]


def test_max_answers_are_the_first_of_each_run_and_the_others_are_counted(runs, tmp_path):
    result = view(runs, tmp_path / "page.html", "--max_answers", 1)
    assert (result.returncode, "MAX_ANSWERS leaves out 2 more" in result.stdout) == (0, True)
    index, _ = read_page(tmp_path / "page.html")
    assert [row[:3] for row in index["rows"]] == [[0, 1, 0], [1, 1, 0]]
    assert index["missing"] == {"left out by MAX_ANSWERS": 2, "in broken files": 0}


def test_broken_files_are_reported_and_the_other_answers_shown(runs, tmp_path):
    sample_path(runs[0], 7, 0).write_text('{"generated_text": "cut of')
    write_answer(runs[0], 8, 0, None)
    result = view(runs, tmp_path / "page.html")
    assert (result.returncode, "4 answers of 2 runs" in result.stdout) == (1, True)
    assert "question_7_sample_0.json is not valid JSON" in result.stdout
    assert "question_8_sample_0.json: its generated_text is of type NoneType" in result.stdout


@pytest.mark.parametrize(
    ("folders", "flags", "sentence"),
    [
        ((), (), "INPUT_DIRS names no folder"),
        (("no/such/folder",), (), "there is no folder no/such/folder"),
        (("{run}", "{empty}/../{run.name}"), (), "INPUT_DIRS names a folder twice"),
        (("{empty}",), (), "has no answers"),
        (("{run}",), ("--max_answers", "-1"), "MAX_ANSWERS is at least 0, not -1"),
        (("{run}",), ("--output", "{empty}"), "OUTPUT is the HTML file to write, not the folder"),
    ],
)
def test_bad_input_ends_in_one_sentence(runs, tmp_path, folders, flags, sentence):
    (tmp_path / "empty").mkdir()
    names = {"run": runs[0], "empty": tmp_path / "empty"}
    words = [[word.format(**names) for word in part] for part in (folders, flags)]
    result = view(words[0], tmp_path / "page.html", *words[1])
    assert (result.returncode, sentence in result.stderr, "Traceback" in result.stderr) == (2, True, False)
    assert not (tmp_path / "page.html").exists()


def kinds(text):
    """The pieces of a text with their kinds, and its thought."""
    found, starts = text_parts(text), [0]
    starts += [end for _, end in found["parts"]]
    pieces = [(kind, text[start:end]) for (kind, end), start in zip(found["parts"], starts, strict=False)]
    return pieces, found["thought"] and text[slice(*found["thought"])]


def test_parts_cover_the_text_and_the_thought_lies_between_its_tags():
    assert kinds("<think>hm</think>\n```py\nx\n```\nend") == (
        [
            ("tag", "<think>"),
            ("text", "hm"),
            ("tag", "</think>"),
            ("text", "\n"),
            ("fence", "```py\n"),
            ("python", "x\n"),
            ("fence", "```"),
            ("text", "\nend"),
        ],
        "hm",
    )
    assert kinds("hm</think>\nx")[1] == "hm"
    assert kinds("the tag </think> is quoted here")[1] is None
    assert kinds("<think>cut off") == ([("tag", "<think>"), ("text", "cut off")], "cut off")
    assert kinds("```json\n{}") == ([("fence", "```json\n"), ("code", "{}")], None)
    assert kinds("```") == ([("fence", "```")], None)
    assert kinds("") == ([], None)
    open_block = "```python\nx\n<end_of_solution>"
    assert kinds(open_block)[0] == [("fence", "```python\n"), ("python", "x\n"), ("tag", "<end_of_solution>")]


def test_prompts_of_every_form_become_texts_with_headings():
    messages = [{"role": "user", "content": "a"}]
    assert prompt_parts("plain") == [["", "plain"]]
    assert prompt_parts({"instruct": messages, "base": "b"}) == [["instruct user", "a"], ["base", "b"]]
    assert prompt_parts(None) == []


def test_a_run_is_named_by_its_alpha_or_its_models(tmp_path):
    assert model_of(tmp_path) == ""
    write_json(tmp_path / "run.json", {"script": "x", "settings": {"merged_from": []}, "models": ["a", "b"]})
    assert model_of(tmp_path) == "a and b"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with Browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def page(runs, tmp_path, browser):
    assert view(runs, tmp_path / "page.html").returncode == 0
    browser.requests.clear()
    browser.errors.clear()
    return tmp_path / "page.html"


def test_the_address_sets_the_filters_and_the_page_shows_the_counts(browser, page):
    browser.open(page)
    assert browser.text("#count") == "4 of 4 answers, 1 correct"
    assert browser.evaluate("document.querySelectorAll('.row').length") == 4
    assert browser.text(".code") == PROGRAM
    assert browser.evaluate("[...document.querySelectorAll('.keyword')].map((e) => e.textContent)") == ["for", "in"]
    assert [browser.text(f".{kind}") for kind in ("string", "number", "comment")] == ["'x'", "2", "# twice"]
    for address, count in (
        ("run=turns", 1),
        ("problem=1&run=merged", 2),
        ("verdict=not+correct", 3),
        ("verdict=not+converted", 2),
        ("search=RANGE%282", 2),
        ("search=question+2", 1),
        ("search=no+such+words", 0),
    ):
        browser.open(page, f"#{address}")
        assert browser.text("#count").startswith(f"{count} of 4 answers"), address
    assert "No answer matches these filters" in browser.text("#answer")


def test_the_page_counts_the_answers_it_leaves_out(browser, runs, tmp_path):
    sample_path(runs[0], 7, 0).write_text("{")
    assert view(runs, tmp_path / "page.html", "--max_answers", 3).returncode == 0
    browser.open(tmp_path / "page.html")
    assert browser.text("#count") == "4 of 4 answers, 1 correct; 1 more left out by MAX_ANSWERS"
    assert view(runs, tmp_path / "page.html").returncode == 1
    browser.open(tmp_path / "page.html")
    assert browser.text("#count") == "4 of 4 answers, 1 correct; 1 more in broken files"


def test_keys_step_through_the_answers_and_the_address_follows(browser, page):
    browser.open(page)
    browser.press("j")
    browser.until("document.documentElement.dataset.ready === 'merged/1/1'")
    assert browser.evaluate("location.hash") == "#answer=merged%2F1%2F1"
    browser.press("k")
    browser.until("document.documentElement.dataset.ready === 'merged/1/0'")
    browser.evaluate("location.hash = '#run=turns'")
    browser.until("document.documentElement.dataset.ready === 'turns/1/0'")


def test_hostile_text_is_shown_as_text_and_never_runs(browser, page):
    shown = HOSTILE
    for character in "\u2028\u2029\0\ud83d\u202e":
        shown = shown.replace(character, f"U+{ord(character):04X}")
    for address in ("", "&raw=yes", "&side=yes"):
        browser.open(page, f"#answer=merged/1/1{address}")
        assert browser.text("#answer").count(shown) >= 4
        assert browser.evaluate("document.querySelectorAll('img, b, main script').length") == 0
    browser.open(page, "#answer=merged/2/0")
    assert shown in browser.text("#answer")
    assert browser.evaluate("window.ran") is None
    assert browser.errors == []
    assert {request.split("#")[0] for request in browser.requests} <= {page.as_uri(), "about:blank"}


def test_a_failing_test_is_shown_and_the_thought_is_folded(browser, page):
    browser.open(page, "#answer=merged/1/1")
    assert browser.text(".failed p") == "Test 2 failed: wrong answer (1 passed)"
    assert browser.evaluate("[...document.querySelectorAll('.tests h3')].map((e) => e.textContent)") == [
        "input",
        "expected",
        "output",
    ]
    assert "(empty)" in browser.text(".tests")
    assert browser.evaluate("document.querySelector('.thought').closest('details').open") is False


def test_sections_stay_open_or_folded_as_the_reader_left_them(browser, page):
    browser.open(page, "#answer=merged/2/0")  # cut off in its thought, which the page opens
    assert browser.evaluate("document.querySelector('.thought').closest('details').open") is True
    browser.press("k")
    browser.until("document.documentElement.dataset.ready === 'turns/1/0'")
    browser.evaluate("choose(places.get('merged/1/1'))")
    assert browser.evaluate("document.querySelector('.thought').closest('details').open") is False
    browser.evaluate("document.querySelector('.thought').closest('details').querySelector('summary').click()")
    browser.evaluate("choose(places.get('merged/1/0'))")
    assert browser.evaluate("document.querySelector('.thought').closest('details').open") is True


def test_turns_are_marked_at_offsets_counted_as_python_does(browser, page):
    browser.open(page, "#run=turns")
    assert (browser.text(".thought .instruct"), browser.text(".thought .base")) == ("\U0001f600A", "B\U0001f601")
    assert "written by the base model" in browser.text("#answer")


@pytest.mark.slow
def test_a_list_of_five_thousand_answers_keeps_few_rows_in_the_page(browser, tmp_path):
    words, chance = [f"word{number}" for number in range(5000)], random.Random(0)
    for number in range(5000):
        text = f"<think>{' '.join(chance.choices(words, k=100))}</think>"
        converted_path(tmp_path, number // 10, number % 10).write_text(
            json.dumps({"generated_text": text, "converted_text": text, "correctness": True})
        )
    assert view([tmp_path], tmp_path / "page.html").returncode == 0
    browser.open(tmp_path / "page.html", "#answer=" + tmp_path.name + "/499/9")
    assert browser.text("#count") == "5,000 of 5,000 answers, 5,000 correct"
    assert browser.evaluate("document.documentElement.dataset.ready") == f"{tmp_path.name}/499/9"
    assert 0 < browser.evaluate("document.querySelectorAll('.row').length") < 100


def test_the_pages_script_is_safe_inside_html():
    script = (ROOT / "analysis" / "page" / "answers.js").read_text()
    assert not re.search(r"</script|<!--|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|http", script)
    assert not re.search("[<>&]", pack({"text": HOSTILE}))
