"""What the words before a program say about it, and which of two definitions of a function they make the program."""

import pytest

from hindsight.text.introductions import REJECTED, is_introduced
from hindsight.text.program_choice import ProgramTarget, choose_program

ADD = ProgramTarget("add")
FIRST = "def add(a, b):\n    return a + b\n"
SECOND = "def add(*each):\n    return sum(each)\n"
LATER = [
    "Better:",
    "Alternatively, you could use `sum`:",
    "**Approach 2: with sum**",
    "Hmm, let me try another approach:",
]


def block(code):
    return f"```python\n{code}```"


def chosen(*parts):
    choice = choose_program("\n\n".join(parts), ADD)
    assert choice.fits and not choice.undecided
    return choice.program


@pytest.mark.parametrize("words", LATER)
def test_of_several_definitions_the_last_is_the_program(words):
    assert chosen("So:", block(FIRST), words, block(SECOND), "It adds.") == SECOND


@pytest.mark.parametrize(
    "words", ["A common mistake is:", "Avoid writing it like this:", "Bad example:", "Don't do this:", "Wrong version:"]
)
def test_a_program_that_is_shown_as_a_mistake_is_rejected(words):
    assert is_introduced(f"It adds.\n{words}\n\n", REJECTED)
    assert chosen(block(FIRST), words, block(SECOND)) == FIRST


@pytest.mark.parametrize("words", ["To avoid recursion, use this code:", "Don't forget the import:"])
def test_a_warning_about_something_else_rejects_nothing(words):
    assert chosen(block(FIRST), words, block(SECOND)) == SECOND


def test_an_excerpt_of_the_function_that_returns_nothing_does_not_displace_it():
    whole = "def add(a, b):\n    total = a\n    total += b\n    return total\n"
    for part in ("def add(a, b):\n    total = a\n", "def add(a, b):\n    total = a\n    ...\n"):
        assert chosen(block(whole), "First it sets the total:", block(part), "Then it adds.") == whole
    shorter = "def add(a, b):\n    total = a\n    return total\n"
    assert chosen(block(whole), "Without the second number:", block(shorter)) == shorter
