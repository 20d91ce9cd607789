"""Code blocks by CommonMark, in lists and quotes, and between fences as models write them."""

import pytest

from hindsight.text.code_blocks import find_code_blocks


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


@pytest.mark.parametrize("first", ["def f(x):", "try:", "@cache", "import os", "x = 1", "print(2)"])
def test_code_on_the_line_of_its_fence_belongs_to_the_block(first):
    (block,) = find_code_blocks(f"Use it:\n\n```python {first}\n    return 1\n```")
    assert block.code == f"{first}\n    return 1\n"


@pytest.mark.parametrize("info", ["python title='a.py'", "python 3", "python {1,3}", "text def f(x):"])
def test_other_words_on_the_line_of_a_fence_are_no_code(info):
    (block,) = find_code_blocks(f"```{info}\nprint(1)\n```")
    assert block.code == "print(1)\n"
