"""What the words before a program say about it, and which of two definitions of a function they make the program."""

import pytest

from hindsight.text.introductions import REJECTED, is_introduced, offers_alternative
from hindsight.text.program_choice import ProgramTarget, choose_program

ADD = ProgramTarget("add")
FIRST = "def add(a, b):\n    return a + b\n"
SECOND = "def add(*each):\n    return sum(each)\n"
ALTERNATIVES = [
    "Alternatively, you could use `sum`:",
    "This runs in O(1).\n\nAlternatively, a version with `sum` is shown below. It is slower but easier to read.",
    "### Alternative Solution\n\nHere is a version that uses `sum`.",
    "**Alternative Implementation (using sum):**",
    "Here's another implementation that uses `sum`:",
    "Another approach is to use `sum`:",
    "You can also solve it with `sum`, though it is less efficient:",
    "The function can also be written as:",
    "Or:",
    "or",
    "Or, as a one-liner:",
    "If you prefer `sum`, here is how:",
    "For comparison, the slower version:",
    "This is equivalent to:",
    "Alternativamente, con `sum`:",
    "Une autre solution :",
    "另一种方法：",
]
REPLACEMENTS = [
    "Better:",
    "Simplified:",
    "A faster alternative:",
    "This is slow. A more efficient alternative:",
    "Hmm, let me try another approach:",
    "This fails for floats. Alternatively, use:",
    "The sign is wrong. Another way:",
    "You can also pass floats.\n\nNow with `sum`:",
    "Alternatively, one could sort them. The corrected code:",
    "**Approach 2: with sum**",
    "And here is the same function with a docstring:",
]


def block(code):
    return f"```python\n{code}```"


def chosen(*parts):
    choice = choose_program("\n\n".join(parts), ADD)
    assert choice.fits and not choice.undecided
    return choice.program


@pytest.mark.parametrize("words", ALTERNATIVES)
def test_an_alternative_does_not_displace_the_program_before_it(words):
    assert chosen("So:", block(FIRST), words, block(SECOND), "It adds.") == FIRST


@pytest.mark.parametrize("words", REPLACEMENTS)
def test_what_is_called_better_or_follows_a_wrong_program_is_no_alternative(words):
    assert chosen("So:", block(FIRST), words, block(SECOND), "It adds.") == SECOND


def test_words_before_the_only_program_or_within_a_thought_offer_no_alternative():
    assert chosen("One can use a loop.", "Alternatively:", block(SECOND)) == SECOND
    assert not offers_alternative("It is called with two numbers:")


def test_of_a_draft_a_better_program_and_alternatives_to_it_the_better_one_is_the_program():
    third = "def add(a, b):\n    return b + a\n"
    assert chosen(block(FIRST), "Optimized:", block(SECOND), "Alternatively:", block(third)) == SECOND
    assert chosen(block(FIRST), "Another way:", block(SECOND), "Or:", block(third)) == FIRST


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
