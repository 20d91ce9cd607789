"""What a reformatting model's reply makes of an answer: a cut where its quotes stand, or two sections; or nothing."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.conversion.fidelity import FidelityLimits, NotFaithful, check_fidelity
from hindsight.conversion.reformat_prompts import reformat_messages, reformat_schema
from hindsight.conversion.replies import Quotes, cut, sections_of
from hindsight.conversion.sections import Sections

DRAFT = "```python\nprint(1)\n```"
FINAL = "```python\nn = int(input())\nprint(n + 1)\n```"
ANSWER = f"We add one. First try:\n{DRAFT}\nNo, it has to read. Now I know.\nSo:\n{FINAL}\nThat is all."
LIMITS = FidelityLimits(0.9, 10)
QUOTES = Quotes("Now I know.", "n = int(input())", "print(n + 1)")


def test_an_answer_is_cut_at_the_quotes():
    found = cut(ANSWER, QUOTES)
    assert found.thought == f"We add one. First try:\n{DRAFT}\nNo, it has to read. Now I know."
    assert found.solution == f"So:\n\n{FINAL}\n\nThat is all."


@pytest.mark.parametrize(
    "quotes",
    [
        Quotes("Now   I\nknow", "```python\nn = int(input())", "print(n + 1)\n```"),
        Quotes("has to read. Now I know.", "  n = int(input())\nprint(n + 1)", "n = int(input())\nprint(n + 1)"),
        Quotes("No, it has to read. Now I kn", "n = int(input())", "print(n + 1)"),
    ],
)
def test_quotes_may_have_other_blank_space_fences_and_more_lines(quotes):
    assert cut(ANSWER, quotes) == cut(ANSWER, QUOTES)


def test_a_thought_that_ends_in_a_code_block_ends_behind_it():
    found = cut(f"Try:\n{DRAFT}\n{FINAL}", Quotes("print(1)", "n = int(input())", "print(n + 1)"))
    assert found == Sections(f"Try:\n{DRAFT}", FINAL)


def test_an_answer_that_begins_with_its_solution_has_an_empty_thought():
    assert cut(f"{FINAL}\nThat is all.", replace(QUOTES, thought_end="")).thought == ""


def test_what_follows_behind_another_code_block_is_left_out_and_counted_by_the_proof():
    answer = f"We add one.\n{FINAL}\nFor example:\n{DRAFT}\n" + "word " * 20
    found = cut(answer, Quotes("We add one.", "n = int(input())", "print(n + 1)"))
    assert found.solution == f"{FINAL}\n\nFor example:"
    with pytest.raises(NotFaithful, match="only"):
        check_fidelity(answer, found, LIMITS)


def test_tags_that_are_structure_are_left_out():
    quotes = replace(QUOTES, thought_end="We add one.")
    found = cut(f"<think>\nWe add one.\n</think>\n</think>\n{FINAL}", quotes)
    assert found == Sections("We add one.", FINAL)


def test_without_a_program_the_rest_is_the_solution():
    assert cut("We add one. It is 3.", Quotes("We add one.", "", "")) == Sections("We add one.", "It is 3.")


def test_a_program_without_fences_gets_some():
    answer = "We add one.\nThe program:\nn = int(input())\nprint(n + 1)\nThat is all."
    found = cut(answer, Quotes("We add one.", "n = int(input())", "print(n + 1)"))
    assert found == Sections("We add one.", f"The program:\n\n{FINAL}\n\nThat is all.")
    assert check_fidelity(answer, found, LIMITS)["code"] == "not in a code block"


def test_a_program_without_fences_is_found_beside_a_draft_that_has_some():
    answer = f"Draft:\n{DRAFT}\nNo. We add one.\n\nn = int(input())\nprint(n + 1)"
    found = cut(answer, replace(QUOTES, thought_end="We add one."))
    assert found == Sections(f"Draft:\n{DRAFT}\nNo. We add one.", FINAL)
    assert check_fidelity(answer, found, LIMITS)["code"] == "not in a code block"


@pytest.mark.parametrize("end", ["print(n + 1)```\nThat is all.", "print(n + 1)\nThat is all."])
def test_a_program_whose_fence_does_not_close_it_gets_one(end):
    answer = f"We add one.\n```python\nn = int(input())\n{end}"
    found = cut(answer, Quotes("We add one.", "n = int(input())", "print(n + 1)"))
    assert found == Sections("We add one.", f"{FINAL}\n\nThat is all.")
    assert check_fidelity(answer, found, LIMITS)["code"] == ("equal" if "```" in end else "in a broken code block")


@pytest.mark.parametrize(
    ("quotes", "reason"),
    [
        (Quotes("I know it.", "n = int(input())", "print(n + 1)"), "nowhere in the answer"),
        (Quotes("t", "n = int(input())", "print(n + 1)"), "in several places"),
        (Quotes("That is all.", "n = int(input())", "print(n + 1)"), "only after the final program"),
        (Quotes("Now I know.", "n = int(input())", "print(n + 2)"), "no code block of the answer has both"),
        (Quotes("Now I know.", "n = ", "print(n + 1)"), "no code block of the answer has both"),
    ],
)
def test_quotes_that_do_not_say_one_place_are_refused(quotes, reason):
    with pytest.raises(NotFaithful, match=reason):
        cut(ANSWER, quotes)


def test_lines_in_two_different_blocks_are_refused():
    answer = f"Try:\n{FINAL}\nOr:\n{FINAL.replace('n = int(input())', 'n = int(input())  ' + chr(10) + 'n += 0')}"
    with pytest.raises(NotFaithful, match="several code blocks"):
        cut(answer, Quotes("Try:", "n = int(input())", "print(n + 1)"))
    twice = f"Try:\n{FINAL}\nAgain, it is right:\n{FINAL}"
    assert cut(twice, Quotes("it is right:", "n = int(input())", "print(n + 1)")).solution == FINAL


WORDS = st.sampled_from(["add", "one", "Now", "No,", "\n", "```\n", "print(n + 1)", "</think>", "é", "\u2028", "x" * 9])
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["n = int(input())", "print(n + 1)", "", "one"]))
def test_whatever_is_quoted_a_cut_adds_nothing_but_fences(before, after, quote, line):
    answer = f"{before}\n{FINAL}\n{after}"
    try:
        found = cut(answer, Quotes(quote, line, "print(n + 1)"))
    except NotFaithful:
        return
    kept = (found.thought + found.solution).replace("```python", "").replace("```", "")
    rest = iter(answer)
    assert all(any(character == other for other in rest) for character in "".join(kept.split()))


@pytest.mark.parametrize("mode", ["cut", "rewrite"])
@pytest.mark.parametrize("structured", [True, False])
def test_the_worked_example_is_a_reply_that_is_kept(mode, structured):
    *_, answer, reply, asked = reformat_messages(ANSWER, mode, structured)
    assert asked["content"] == ANSWER
    found = sections_of(reply["content"], answer["content"], mode, structured)
    assert check_fidelity(answer["content"], found, FidelityLimits(1.0, 0))["code"] == "equal"
    assert found.solution.startswith("Here is the program:\n")
    if structured:
        assert list(json.loads(reply["content"])) == reformat_schema(mode)["json_schema"]["schema"]["required"]


@pytest.mark.parametrize(
    ("reply", "mode", "structured", "reason"),
    [
        ("It adds one.", "rewrite", False, "not the two sections"),
        ("<think>a</think>b", "rewrite", False, "each between its tags"),
        ("It adds one.", "cut", False, "does not have each of <thought_end>"),
        ("{", "cut", True, "not valid JSON"),
        ("[]", "cut", True, "not an object with the texts thought_end"),
        ('{"thought": "a", "solution": 1}', "rewrite", True, "not an object with the texts thought, solution"),
    ],
)
def test_a_reply_in_another_form_is_refused(reply, mode, structured, reason):
    with pytest.raises(NotFaithful, match=reason):
        sections_of(reply, ANSWER, mode, structured)
