"""The proof that a conversion changed nothing: words in order, the program, and tags that read in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.conversion.fidelity import (
    FidelityLimits,
    NotFaithful,
    check_fidelity,
    common_length,
    compare_code,
    compare_words,
)
from hindsight.conversion.sections import Sections

CODE = "```python\nn = int(input())\nprint(n + 1)\n```"
ANSWER = f"We add one to it.\nFirst 2, no, 1.\nSo:\n{CODE}\nThat is all."
THOUGHT = "We add one to it.\nFirst 2, no, 1."


def figures(thought, solution, answer=ANSWER):
    return check_fidelity(answer, Sections(thought, solution), FidelityLimits(min_kept=0.9, max_new=2))


def longest_common_subsequence(first, second):
    """By the textbook's table."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, 1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]


@given(st.lists(st.sampled_from("abc"), max_size=20), st.lists(st.sampled_from("abcd"), max_size=20))
def test_common_words_are_the_longest_common_subsequence(first, second):
    assert common_length(first, second) == longest_common_subsequence(first, second)


def test_a_cut_keeps_everything():
    assert figures(THOUGHT, f"So:\n{CODE}\nThat is all.") == {"kept": 1.0, "new": 0, "code": "equal"}


def test_a_new_fence_or_layout_is_no_change():
    loose = CODE.replace("print(n + 1)", "print( n+1 )  # one more").replace("python", "py")
    assert compare_code(ANSWER, loose) == "equal"


def test_a_solution_first_is_in_order_too():
    assert compare_words("a b c d", Sections("c d", "a b")) == (1.0, 0)
    assert compare_words("a b c d", Sections("d c", "a b")) == (0.75, 1)


@pytest.mark.parametrize(
    ("thought", "solution", "reason"),
    [
        ("We add one.", f"So:\n{CODE}", "only"),
        ("", f"So:\n{CODE}\nThat is all.", "only"),
        (f"{THOUGHT} And so it is done.", f"So:\n{CODE}\nThat is all.", "5 words are not in the answer"),
        (THOUGHT, f"So:\n{CODE.replace('n + 1', 'n + 2')}\nThat is all.", "not one of the answer's"),
        (THOUGHT, f"So:\n{CODE.replace('n = int(input())', '')}\nThat is all.", "not one of the answer's"),
        (f"{THOUGHT}\n<end_of_slow_thought>\n<begin_of_solution>\nx", f"So:\n{CODE}\nThat is all.", "unreadable"),
    ],
)
def test_what_changes_the_answer_is_not_kept(thought, solution, reason):
    with pytest.raises(NotFaithful, match=reason):
        figures(thought, solution)


def test_a_program_that_is_in_no_code_block_is_found_line_by_line():
    answer = "The program:\n\nn = int(input())\nprint(n + 1)\n\nThat is all."
    assert compare_code(answer, CODE) == "not in a code block"
    with pytest.raises(NotFaithful):
        compare_code(answer, CODE.replace("n + 1", "n + 2"))
    with pytest.raises(NotFaithful):
        compare_code(answer.replace("print", "\nSo:\nprint"), CODE)


@pytest.mark.parametrize("part", ["print(n + 1)", "n = int(input())"])
def test_a_part_of_a_program_is_not_the_program(part):
    program = "n = int(input())\nprint(n + 1)"
    for answer in (f"The program:\n{program}\nThat is all.", f"So:\n```python\n{program}\nThat is all."):
        with pytest.raises(NotFaithful):
            compare_code(answer, f"```python\n{part}\n```")
    inner = "The program:\n\ndef main():\n    n = int(input())\n    print(n + 1)\n\nThat is all."
    with pytest.raises(NotFaithful):
        compare_code(inner, f"```python\n{program}\n```")


def test_a_program_in_no_code_block_is_found_beside_drafts_in_some():
    answer = f"Draft:\n```python\nprint(1)\n```\nn = int(input())\nprint(n + 1)\n{CODE.replace('1', '2')}"
    assert compare_code(answer, CODE) == "not in a code block"


def test_a_program_in_a_block_that_swallows_words_is_its_beginning():
    answer = "So:\n```python\nn = int(input())\nprint(n + 1)\nThis adds one."
    assert compare_code(answer, CODE) == "in a broken code block"
    with pytest.raises(NotFaithful):
        compare_code(answer, "```python\nprint(n + 1)\n```")
    assert compare_code("```python\nn = int(input())\nprint(n + 1)```", CODE) == "equal"


def test_a_block_that_is_left_open_before_does_not_hide_the_program():
    assert compare_code(f"```python\ndraft(\n{CODE}", CODE) == "equal"


def test_half_of_a_program_or_none_is_never_equal_to_it():
    whole = '"""Reads.\n\n```\n3\n```\n"""\nprint(input())'
    answer = f"So:\n```python\n{whole}\n```"
    assert compare_code(answer, f"````python\n{whole}\n````") == "equal"
    with pytest.raises(NotFaithful, match="cannot be parsed"):
        compare_code(answer, '```python\n"""Reads.\n\n```\n')
    assert compare_code(answer, "```python\n\n```") == "none"
    with pytest.raises(NotFaithful, match="two programs"):
        compare_code(f"{CODE}\n{CODE.replace('+', '-')}", f"{CODE}\n{CODE.replace('+', '-')}")


def test_a_program_in_two_blocks_is_equal_if_both_are():
    helper = "```python\ndef twice(n):\n    return 2 * n\n```"
    main = "```python\nprint(twice(int(input())))\n```"
    assert compare_code(f"A helper:\n{helper}\nThen:\n{main}", f"{helper}\n{main}") == "equal"
    with pytest.raises(NotFaithful):
        compare_code(f"A helper:\n{helper}\nThen:\n{main}", f"{helper.replace('2', '3')}\n{main}")


def test_code_that_is_no_python_is_compared_as_text():
    assert compare_code("```cpp\nint main() {}\n```", "```cpp\nint main() {}\n```") == "equal"
    with pytest.raises(NotFaithful):
        compare_code("```cpp\nint main() {}\n```", "```cpp\nint main() { }\n```")


def test_a_solution_without_a_program_is_marked_so():
    assert figures(THOUGHT, "So: that is all.", f"{THOUGHT} So: that is all.")["code"] == "none"


@pytest.mark.parametrize("code", ["(" * 5000, "x = '\0'", "\ud800", "1" * 5000, "\\"])
def test_code_that_no_parser_likes_is_compared_as_text(code):
    fenced = f"```python\n{code}\n```"
    assert compare_code(fenced, fenced) == "equal"


@pytest.mark.parametrize(
    "answer",
    [
        "Use this:\n{}\n\ndef mul(a, b):\n    return a * b\n\nDone.",
        "Use this:\ndef mul(a, b):\n    return a * b\n\n{}\n\nDone.",
        "So:\n```python\n{}\nx = (\n```",
        "So:\n{}\n\nassert add(1, 2] == 3",
    ],
)
def test_half_of_a_program_is_not_faithful_also_where_no_fence_shows_its_end(answer):
    add = "def add(a, b):\n    return a + b"
    with pytest.raises(NotFaithful, match="not one of the answer's"):
        compare_code(answer.format(add), f"```python\n{add}\n```")
