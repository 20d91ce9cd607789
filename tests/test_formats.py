"""The uniform format and its dialects, there and back; what is plain is carried over, what is not is refused."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hindsight.formats import Sections, code_blocks, extract_code, parse, render, split_at_last_block

DIALECTS = {
    "uniform": ("<begin_of_slow_thought>", "<end_of_slow_thought>", "<begin_of_solution>", "<end_of_solution>"),
    "piped": ("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    "piped slow": (
        "<|begin_of_slow_thought|>",
        "<|end_of_slow_thought|>",
        "<|begin_of_solution|>",
        "<|end_of_solution|>",
    ),
    "square": ("[begin_of_thought]", "[end_of_thought]", "[begin_of_solution]", "[end_of_solution]"),
    "think": ("<think>", "</think>", "", ""),
}
PIECES = st.sampled_from(
    ["```", "```python\n", "~~~", "\n", "\r\n", "x = 1", " ", "\t", "\0", "é", "数", "<", "[", "begin_of_thought"]
    + [tag for tags in DIALECTS.values() for tag in tags if tag]
)
HOSTILE = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)


def written(dialect: str, thought: str, solution: str) -> str:
    tags = DIALECTS[dialect]
    return f"{tags[0]}\n\n{thought}\n\n{tags[1]}\n\n{tags[2]}\n\n{solution}\n\n{tags[3]}"


@given(st.sampled_from(sorted(DIALECTS)), HOSTILE, HOSTILE)
def test_an_answer_in_any_dialect_reads_back_as_it_was_or_is_refused(dialect, thought, solution):
    assume(thought.strip() and solution.strip())
    sections = parse(written(dialect, thought, solution))
    assert sections in (None, Sections(thought.strip(), solution.strip()))


@given(st.sampled_from(sorted(DIALECTS)), st.text("ab .,\n", min_size=1), st.text("ab()=\n", min_size=1))
def test_plain_text_with_a_code_block_always_reads_back(dialect, thought, code):
    assume(thought.strip())
    solution = f"Here it is.\n\n```python\n{code}\n```"
    assert parse(written(dialect, thought, solution)) == Sections(thought.strip(), solution)


@given(HOSTILE, HOSTILE)
def test_what_is_read_renders_to_what_reads_the_same(thought, solution):
    sections = parse(render(thought, solution))
    if sections is not None:
        assert parse(render(sections.thought, sections.solution)) == sections


def test_tags_inside_of_a_code_block_are_code():
    solution = "```python\nprint('<end_of_solution>')\n```"
    assert parse(render("hm", solution)) == Sections("hm", solution)
    assert extract_code(render("hm", solution)) == "print('<end_of_solution>')\n"


def test_a_thought_without_its_opening_tag_is_read_as_chat_templates_leave_it():
    assert parse("hm\n</think>\n\nthe answer") == Sections("hm", "the answer")


def test_a_missing_last_tag_is_forgiven_after_a_closed_block():
    text = "[begin_of_thought]hm[end_of_thought][begin_of_solution]\n```\nx\n```"
    assert parse(text) == Sections("hm", "```\nx\n```")
    assert parse(text.removesuffix("```")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no tags at all",
        "<begin_of_slow_thought>\ncut off",
        "first " + render("hm", "x"),
        render("hm", "x") + " last",
        render("hm", "x") + render("hm", "y"),
        render("a</think>b", "x"),
        "<begin_of_slow_thought>a<end_of_slow_thought> between <begin_of_solution>x<end_of_solution>",
        "<begin_of_slow_thought>a<end_of_slow_thought>x",
        render("", "x"),
        render("hm", ""),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text):
    assert parse(text) is None


def test_the_last_closed_block_is_the_solution_where_there_is_no_structure():
    text = "Try\n```\na\n```\nbetter:\n```python\nb\n```\nDone."
    assert split_at_last_block(text) == Sections("Try\n```\na\n```\nbetter:", "```python\nb\n```\nDone.")
    assert split_at_last_block("<begin_of_slow_thought>\n\nhm\n\n```\nb\n```").thought == "hm"
    assert split_at_last_block("```\nnever closed") is None


def test_code_blocks_close_with_the_same_fence_at_least_as_long():
    text = "````\n```\ninner\n```\n````\n~~~\n```\n~~~\n``` not a ` fence\n"
    assert [block.code for block in code_blocks(text)] == ["```\ninner\n```\n", "```\n"]


def test_the_program_is_the_last_block_of_the_solution():
    solution = "Slow:\n```python\nslow()\n```\nFast:\n```python\nfast()\n```"
    assert extract_code(render("```\nthought()\n```", solution)) == "fast()\n"
    assert extract_code(render("a block left open\n```python\nx", solution)) == "fast()\n"
    assert extract_code(render("```\nthought()\n```", "no code")) is None
    assert extract_code("```python\nno sections\n```") is None


def test_a_program_whose_block_is_not_closed_ends_at_the_tag():
    assert extract_code("<begin_of_solution>\n```python\nx = 1\n<end_of_solution>") == "x = 1\n"
