"""Programs that the way they are written hides: each is found, and what can be read already stays as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs_in_answers import PROGRAMS, STYLES

from hindsight.text.program_choice import ProgramTarget, choose_program
from hindsight.text.programs import is_program
from hindsight.text.readable_code import with_readable_code

LESS = "def less(a, b):\n    if a < b:\n        return True\n    return False"
TARGET = ProgramTarget("less")


def block(code):
    return f"```python\n{code}\n```"


def found(text, what):
    readable, done = with_readable_code(text)
    assert done == what
    assert with_readable_code(readable) == (readable, "")
    choice = choose_program(readable, TARGET)
    assert choice.fits and not choice.undecided
    return (choice.program or "").strip()


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "```json\n{}\n```\nDone.",
        "Here it is:\n\n{}",
        "<think>Maybe:\n```python\nprint(1)\n```\n</think>\n{}",
        "<tool_call>\n{}\n</tool_call>",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        {"code": LESS, "explanation": "It compares."},
        {"name": "python", "arguments": {"code": f"{LESS}\n"}},
        {"answer": [{"thought": "Compare.", "final": block(LESS)}]},
        {"lines": LESS.split("\n")},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_program_in_json_is_read_out_of_it(form, value, indent):
    assert found(form.format(json.dumps(value, indent=indent)), "code in JSON") == LESS


def test_json_keeps_its_words_and_json_beside_a_program_is_data():
    readable, _ = with_readable_code(json.dumps({"note": "It compares.", "code": LESS, "cost": 1}))
    assert readable == f"note: It compares.\n\ncode:\n\n{block(LESS)}\n\ncost: 1"
    beside = f'{block(LESS)}\n\n```json\n{{"code": "print(1)"}}\n```'
    for text in (beside, '{"code": "none"}', '{"code": "print(1)', "{x}", f'table = {{"code": "print(1)"}}\n{LESS}'):
        assert with_readable_code(text) == (text, "")


@pytest.mark.parametrize(
    "code",
    [
        LESS.replace("    ", "\u00a0" * 4),
        LESS.replace("    ", "\u00a0\u00a0\u00a0 "),
        LESS.replace("a < b", "a\u202f<\u3000b"),
        f"\u200b{LESS}\u200b",
        LESS.replace("<", "&lt;"),
        LESS.replace("<", "&lt;").replace("    ", "&nbsp;" * 4),
    ],
)
def test_odd_blanks_and_entities_are_replaced_where_python_refuses_them(code):
    assert found(block(code), "odd characters") == LESS
    assert found(f"So:\n\n{code}\n\nIt compares.", "odd characters") == LESS


def test_an_entity_that_can_be_parsed_is_one_all_the_same():
    code = "def less(a, b):\n    return a &lt; b"
    assert found(block(code), "odd characters") == "def less(a, b):\n    return a < b"


@pytest.mark.parametrize(
    "code",
    [
        "def less(a, b):\n    return a.replace('\u00a0', ' ') < b",
        "def less(a, b):\n    return a.replace('&lt;', '<') < b",
        "def less(a, b):\n    return a &lt",
        "def less(a, b):\n    return a == “b”\u00a0",
        "lt = 1\ndef less(a, b): return a &lt;",
    ],
)
def test_odd_characters_stay_in_code_that_can_be_parsed_or_cannot_be_parsed_without_them(code):
    assert with_readable_code(block(code)) == (block(code), "")


def test_code_in_html_is_read():
    escaped = LESS.replace("<", "&lt;")
    for form in ('<pre><code class="language-python">{}\n</code></pre>', "<p>So:</p>\n<pre>\n{}</pre>\n<p>Done.</p>"):
        assert found(form.format(escaped), "code in HTML") == LESS
    assert with_readable_code(f"{block(LESS)}<pre>{escaped}</pre>")[1] == ""


@pytest.mark.parametrize("form", ["{} {}", "{}  {}", "{}: {}", "{} | {}", "  {}. {}"])
def test_line_numbers_are_no_part_of_a_program(form):
    lines = [form.format(number, line) for number, line in enumerate(LESS.split("\n"), 1)]
    assert found(block("\n".join(lines)), "line numbers") == LESS
    others = block("\n".join([lines[0], lines[2], lines[1], lines[3]]))
    assert with_readable_code(others) == (others, "")


def test_the_name_of_the_language_below_its_fence_is_no_part_of_a_program():
    assert found(f"```\npython\n{LESS}\n```", "language below its fence") == LESS


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{LESS}\n\nOutput:\n```\nTrue\n```",
        f"```python\n{LESS}\n\nExample:\n```python\nprint(less(1, 2))\n```",
        f"```python\n{LESS}\n\nThis compares two numbers.\n```\nThat is all.",
        f"```python\n{LESS}\n\nThis compares two numbers, and returns a boolean.",
        f"```\n{LESS}\n\nOutput:\n```\nTrue\n```",
        f"```\nHere is the code:\n\n{LESS}\n```\nThat is all.",
        f"So: ```python\n代码：\n{LESS}\nIt compares.\n```",
    ],
)
def test_words_between_the_fences_of_a_block_are_no_part_of_a_program(text):
    assert found(text, "words in a code block") == LESS


@pytest.mark.parametrize("name", ["python", "python3", "py"])
@pytest.mark.parametrize("code", [LESS, f"import sys\n{LESS}", f"# compares\n{LESS}", f"n = 1\n{LESS}"])
def test_the_first_line_of_a_program_may_be_on_the_fence(name, code):
    assert found(f"Sure!\n\n```{name}{code}\n```\nDone.", "code on the fence") == code


@pytest.mark.parametrize("info", ["pythonic", "python title=1", "python:main.py", "python{1}", "pycon"])
def test_other_words_on_the_fence_are_no_code(info):
    text = f"```{info}\n{LESS}\n```"
    assert with_readable_code(text) == (text, "")


@pytest.mark.parametrize("end", ["`", "``", "``\n", "  ``"])
def test_a_closing_fence_that_is_cut_off_ends_its_block(end):
    assert found(f"Sure!\n\n```python\n{LESS}\n{end}", "a cut fence") == LESS


def test_a_cut_fence_ends_no_truncated_program():
    text = f"```python\n{LESS}\nprint(less(1,\n``"
    assert with_readable_code(text) == (text, "")


def test_commands_of_a_notebook_are_no_part_of_a_program():
    code = f"%%time\n!pip install numpy\n{LESS}\n%matplotlib inline"
    assert found(block(code), "commands of a notebook") == LESS
    code = f'%%time\n{LESS}\nprint("""\n% kept\n""")'
    assert found(block(code), "commands of a notebook") == code.partition("\n")[2]
    text = block("x = 7\nprint(x\n% 2)")
    assert with_readable_code(text) == (text, "")


@pytest.mark.parametrize(
    "rest", ["This is\ndef less(a, b): return a", "print(less(1, 2", "def other(a, b:\n    return"]
)
def test_of_a_broken_or_truncated_program_no_part_is_taken(rest):
    for text in (f"```python\n{LESS}\n\n{rest}\n```", f"```python\nlist.sort(\n{LESS}\n```"):
        assert with_readable_code(text) == (text, "")


@given(PROGRAMS.filter(is_program), st.sampled_from(sorted(STYLES)))
def test_a_readable_program_stays_as_it_is(program, style):
    text = f"```python\n{program}\n```"
    assert with_readable_code(text) == (text, "")
    program_in_style = choose_program(STYLES[style].format(program), TARGET).program
    readable, _ = with_readable_code(STYLES[style].format(program))
    assert choose_program(readable, TARGET).program == program_in_style
