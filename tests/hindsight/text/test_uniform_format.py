"""The uniform format and the tags of its dialects."""

import pytest

from hindsight.text.uniform_format import find_tags, thought_opening, without_cut_tag


def test_tags_of_every_dialect_are_found_with_their_places():
    text = "<think>a</think>[begin_of_solution]<|end_of_solution|><begin_of_slow_thought>"
    found = [(tag.edge, tag.what) for tag in find_tags(text)]
    assert found == [("begin", "thought"), ("end", "thought"), ("begin", "solution"), ("end", "solution"), *found[:1]]
    assert "".join(text[tag.start : tag.end] for tag in find_tags(text)) == text.replace("a", "")


@pytest.mark.parametrize("cut", ["<end_of_so", "<|end_of_thought|", "[end_of_solution", "</thi", "<th"])
def test_a_tag_cut_off_by_the_limit_is_removed(cut):
    assert without_cut_tag(f"Done.\n{cut}") == "Done.\n"


@pytest.mark.parametrize("text", ["a < b", "x[e", "<end_of_solution>", "end_of_so", "1 <"])
def test_text_that_is_not_the_beginning_of_a_tag_stays(text):
    assert without_cut_tag(text) == text


def test_only_a_tag_that_opens_a_thought_at_the_end_is_an_opening():
    assert thought_opening("Assistant: <think>\n") == "<think>\n"
    assert (
        thought_opening("<think>\nHm")
        == thought_opening("</think>\n")
        == thought_opening("<begin_of_solution>\n")
        == ""
    )
