"""Code blocks by CommonMark and in lists, and the program of an answer."""

import pytest

from hindsight.text.code_blocks import extract_code, find_code_blocks
from hindsight.text.uniform_format import render


def test_code_blocks_close_with_the_same_fence_at_least_as_long():
    text = "````\n```\ninner\n```\n````\n~~~\n```\n~~~\n``` not a ` fence\n"
    assert [block.code for block in find_code_blocks(text)] == ["```\ninner\n```\n", "```\n"]


def test_a_block_that_a_list_sets_in_is_set_out_again():
    (block,) = find_code_blocks("1. So:\n\n    ```python\n    if x:\n        y()\n    ```\n")
    assert (block.code, block.language, block.closed) == ("if x:\n    y()\n", "python", True)


def test_a_fence_within_the_code_does_not_close_it():
    code = 'def f():\n    """\n    ```\n    f()\n    ```\n    """\n'
    (block,) = find_code_blocks(f"```python\n{code}```")
    assert (block.code, block.closed) == (code, True)


@pytest.mark.parametrize(("info", "language"), [("Python", "python"), (" py title=a", "py"), ("", ""), ("\r", "")])
def test_a_blocks_language_is_the_first_word_behind_its_fence(info, language):
    assert find_code_blocks(f"```{info}\nx\n```")[0].language == language


def test_the_program_is_the_last_block_of_the_solution():
    solution = "Slow:\n```python\nslow()\n```\nFast:\n```python\nfast()\n```"
    assert extract_code(render("```\nthought()\n```", solution)) == "fast()\n"
    assert extract_code(render("a block left open\n```python\nx", solution)) == "fast()\n"
    assert extract_code(render("```\nthought()\n```", "no code")) is None
    assert extract_code("```python\nno sections\n```") is None


def test_what_a_program_prints_is_not_the_program():
    assert extract_code(render("hm", "```python\nprint(3)\n```\nOutput:\n```\n3\n```")) == "print(3)\n"
    assert extract_code(render("hm", "```\nprint(2)\n```\nor\n```\nprint(3)\n```")) == "print(3)\n"
    assert extract_code(render("hm", "```\nprint(3)\n```\nOutput:\n```\n3\n```")) == "print(3)\n"
    assert extract_code(render("hm", "```python\nprint(3)\n```\nOutput:\n```python\n3\n```")) == "print(3)\n"
    assert extract_code(render("hm", "```\n3\n```")) == "3\n"


def test_a_program_whose_block_is_not_closed_ends_at_the_tag():
    assert extract_code("<begin_of_solution>\n```python\nx = 1\n<end_of_solution>") == "x = 1\n"
