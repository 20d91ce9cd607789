"""Contamination: the share of a problem's text that is also in a test problem."""

import json

import pytest
from scripts import TACO_REAL

from hindsight.curation.contamination import BenchmarkTexts, read_benchmarks
from hindsight.errors import UserError

LONG = "Given a list of n integers count the pairs whose sum is even and print that number on one line please"
OTHER = "There are some houses in a row on a street and each of them is painted in one of three bright colours"


def nearest(text, *tests, n=13):
    return BenchmarkTexts(((f"test {number}", test) for number, test in enumerate(tests)), n).nearest(text)


def test_the_same_text_is_found_in_another_case_and_punctuation():
    assert nearest(f"** {LONG.upper().replace(' ', ',  ')} **", OTHER, LONG) == (1.0, "test 1")


def test_a_test_inside_a_longer_text_is_found_and_vice_versa():
    assert nearest(f"{OTHER} {LONG}", LONG)[0] == 1.0
    assert nearest(LONG, f"{OTHER} {LONG}")[0] == 1.0


def test_the_share_is_of_the_shorter_text():
    """20 words have 18 3-grams. The other text, 10 of these words and 30 others, has 38, of which 8 are the same."""
    words = LONG.split()
    text = " ".join([*words[:10], *(f"w{number}" for number in range(30))])
    assert nearest(text, " ".join(words[:20]), n=3) == (8 / 18, "test 0")


def test_another_text_shares_nothing():
    assert nearest(OTHER, LONG) == (0.0, "")


def test_a_test_shorter_than_an_n_gram_is_searched_for_by_its_length():
    short = "Write a function to reverse the words of a sentence"
    longer = f"{short}. It takes a string and gives one back, the words of which are the other way round."
    assert nearest(longer, short)[0] == 1.0
    assert nearest(short.replace("words", "letters"), short)[0] == 0.0


def test_a_few_words_are_compared_only_as_a_whole():
    assert nearest("Sort a list!", "sort a list") == (1.0, "test 0")
    assert nearest(f"Sort a list. {LONG}", "sort a list") == (0.0, "")


def test_words_that_every_problem_has_are_not_contamination():
    """One of three sentences is the same."""
    sentence = "The first line of input contains an integer t the number of test cases then t test cases follow"
    assert 0 < nearest(f"{sentence} {LONG}. {LONG[::-1]}", f"{sentence} {OTHER} {OTHER[::-1]}")[0] < 0.5


def test_the_tests_are_those_of_the_split_and_of_all_benchmarks(tmp_path):
    tests, benchmark = tmp_path / "tests.jsonl", tmp_path / "bench.jsonl"
    rows = [{"question": LONG, "split": "test"}, {"question": OTHER, "split": "train"}]
    tests.write_text("\n".join(map(json.dumps, rows)))
    benchmark.write_text(json.dumps({"task_id": "HumanEval/0", "prompt": OTHER}))
    found = dict(read_benchmarks(str(tests), "test", [str(benchmark)]))
    assert found == {"tests.jsonl test row 0": LONG, "bench.jsonl row 0": OTHER}
    assert dict(read_benchmarks("", "", [])) == {}


def test_files_without_texts_are_refused(tmp_path):
    path = tmp_path / "bench.jsonl"
    path.write_text(json.dumps({"code": "print()"}))
    with pytest.raises(UserError, match=r"one of question, prompt.*it only has code"):
        list(read_benchmarks("", "", [str(path)]))
    path.write_text(json.dumps({"question": LONG, "split": "train"}))
    with pytest.raises(UserError, match="no problem of split 'test'"):
        list(read_benchmarks(str(path), "test", []))
    with pytest.raises(UserError, match="there is no problem file"):
        list(read_benchmarks("", "", [str(tmp_path / "nothing.jsonl")]))


@pytest.mark.skipif(not TACO_REAL.is_dir(), reason="the real problems are not beside this clone")
def test_433_real_problems_resemble_only_themselves():
    names = (TACO_REAL / "stdin_problems.jsonl", TACO_REAL / "call_problems.jsonl")
    texts = [json.loads(line)["question"] for name in names for line in name.read_text().splitlines()]
    everything = BenchmarkTexts(((str(number), text) for number, text in enumerate(texts)), 13)
    for number, text in enumerate(texts):
        assert everything.nearest(text) == (1.0, str(number))
    half = len(texts) // 2
    others = BenchmarkTexts(((str(number), text) for number, text in enumerate(texts[:half])), 13)
    assert max(others.nearest(text)[0] for text in texts[half:]) < 0.5
