"""What rules make of raw answers: two sections, word for word, or nothing. The laws hold whatever an answer says."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from programs_in_answers import PROGRAMS, STYLES
from raw_answers import raw_answers

from hindsight.conversion.last_block import split_at_last_block
from hindsight.conversion.reader import read
from hindsight.conversion.sections import Sections, Undecided, close_code_block, structure_tags
from hindsight.conversion.well_formed import has_heading, is_unambiguous
from hindsight.text.program_choice import UNKNOWN_TARGET, ProgramTarget, choose_program, find_program
from hindsight.text.programs import syntax_text
from hindsight.text.uniform_format import TAG, render

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
    "think and solution": ("<think>", "</think>", "<begin_of_solution>", "<end_of_solution>"),
    "think opened in the prompt": ("", "</think>", "", ""),
    "uniform opened in the prompt": ("", "<end_of_slow_thought>", "<begin_of_solution>", "<end_of_solution>"),
    "thinking": ("<thinking>", "</thinking>", "", ""),
    "magistral": ("[THINK]", "[/THINK]", "", ""),
    "seed": ("<seed:think>", "</seed:think>", "", ""),
    "think and answer": ("<think>", "</think>", "<answer>", "</answer>"),
    "box": ("<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>"),
    "headings": ("## Thought", "## Solution", "", ""),
    "bold headings": ("**Thoughts:**", "**Final Solution:**", "", ""),
}
HARMONY = {
    "harmony": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant",
        "<|channel|>final<|message|>",
        "<|return|>",
    ),
    "bare harmony": ("analysis", "assistant", "final", ""),
}
GAPS = st.sampled_from(["\n\n", "\n", "", " ", "\r\n"])
PIECES = st.sampled_from(
    ["```", "\n```\n", "\n```python\n", "\n    ```\n", "~~~", "\n", "\r\n", " ", "\t", "\0", "é", "\u2028", "\x85"]
    + ["x = 1", "print('</think>')", "`<think>`", "<", "[", "begin_of_thought", "User: ", "print(1)", "## Thought\n"]
    + ["\n## Solution\n", "<end_of_so"]
    + [tag for tags in DIALECTS.values() for tag in tags if tag]
)
OTHER_FENCES = re.compile("odd fences|no code block|amid words")  # rules that write other fences
HOSTILE = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)


def quoted(text):
    """The text with words around each tag that would be structure: a section."""
    text = text.strip()
    while found := structure_tags(text):
        text = f"{text[: found[0].start]}a {text[found[0].start : found[0].end]} b{text[found[0].end :]}"
    return text


SECTIONS = HOSTILE.map(quoted)


def written(dialect, thought, solution, gap):
    begin, end, begin_solution, end_solution = (DIALECTS | HARMONY)[dialect]
    gap = "" if dialect == "bare harmony" else "\n\n" if "headings" in dialect else gap
    return gap.join((begin, thought, end, begin_solution, solution, end_solution))


def reading(text, finished=True, **more):
    try:
        return read(text, finished, **more)
    except Undecided:
        return None


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DIALECTS)), SECTIONS, SECTIONS, GAPS)
@example("uniform", "", "a<|begin_of_box|>bé", "\n")
@example("think and answer", "", "a <|begin_of_box|> b\n```python\né", "\n")
@example("think and answer", "", '```python\ns = """\n<|begin_of_box|>\n"""\nprint(s, input())\n```', "\n")
def test_two_sections_in_any_dialect_read_back_as_they_were_or_are_refused(dialect, thought, solution, gap):
    if "headings" in dialect and (not solution or has_heading(thought) or has_heading(solution)):
        return  # without a solution, headings are comments of a program
    found = reading(written(dialect, thought, solution, gap))
    if found is not None and OTHER_FENCES.search(found.rule):
        assert (found.thought, without_fences(found.solution)) == (thought, without_fences(solution))
    else:
        assert found in (None, Sections(thought, solution))


@given(st.sampled_from(sorted(DIALECTS)), st.text("ab .,\n"), st.text("ab .,\n"), st.sampled_from(["\n\n", "\n"]))
def test_plain_words_with_a_program_are_always_read(dialect, thought, words, gap):
    tag = "" if "headings" in dialect else "</think>"
    solution = f"{words}\n\n```python\nprint('{tag}', input())\n```"
    found = reading(written(dialect, thought, solution, gap))
    assert found == Sections(thought.strip(), solution.strip())


@given(st.sampled_from(sorted(HARMONY)), st.text("Ab .,\n").map(str.strip), st.sampled_from(["", "So:\n", "\n\n"]))
def test_harmony_is_read_with_and_without_its_special_tokens(dialect, thought, words):
    solution = f"{words}\n```python\nprint(input())\n```".strip()
    assert reading(written(dialect, f"A{thought}.", solution, "")) == Sections(f"A{thought}.", solution)


@given(st.sampled_from([name for name, tags in sorted(DIALECTS.items()) if tags[0][:1] in "<["]), SECTIONS, SECTIONS)
def test_a_thought_that_the_prompt_opened_is_read_as_if_the_answer_had(dialect, thought, solution):
    text = written(dialect, thought, solution, "\n\n")
    without = text.removeprefix(DIALECTS[dialect][0])
    if not TAG.match(without.lstrip()):
        assert reading(without, thought_open=True) in (None, reading(text))
        assert (
            reading(f"{thought}\n", finished=False, thought_open=True) is None or "</" in thought or "end_of" in thought
        )


@settings(max_examples=300, deadline=None)
@given(HOSTILE, st.booleans())
def test_whatever_an_answer_says_its_characters_stay_but_for_tags_and_headings(text, finished):
    found = reading(text, finished)
    if found is None or found.rule.startswith("bare program"):
        return
    whole = text.rstrip().removesuffix(found.left_out)
    before, after = characters(whole), characters(found.thought + "\n" + found.solution)
    if OTHER_FENCES.search(found.rule):
        before, after = without_fences(before), without_fences(after)
    assert sorted(after) == sorted(before) or (not finished and set(after) <= set(before))
    if "order" not in found.rule and finished:
        assert after == before


def without_fences(text):
    return "".join(re.sub(r"(```+|~~~+)(python)?", " ", text).split())


def characters(text):
    """A text without tags, headings and blank space."""
    text = re.sub(r"## (Thought|Solution)|\*\*(Thoughts|Final Solution):\*\*", "", TAG.sub(" ", text))
    return "".join(text.split())


@given(HOSTILE, HOSTILE)
def test_what_rules_read_is_read_again_from_the_uniform_format(thought, solution):
    found = reading(render(thought, solution))
    if found is not None and is_unambiguous(found):
        assert reading(render(found.thought, found.solution)) in (None, found)


DRAFTS = st.sampled_from(
    ["", "Draft:\n```python\nprint(int(input()))\n```\nNo.", "Open:\n```python\nprint(", "`print(1)`"]
)


@settings(max_examples=200)
@given(st.sampled_from(sorted(DIALECTS | HARMONY)), DRAFTS, PROGRAMS, st.sampled_from(sorted(STYLES)), st.booleans())
def test_a_program_in_any_dialect_and_style_is_read_or_undecided_but_never_another(
    dialect, draft, program, style, finished
):
    text = written(dialect, f"Hm.\n{draft}", STYLES[style].format(program), "\n\n")
    found = reading(text, finished, target=ProgramTarget(None, reads_input=True))
    if found is not None:
        choice = choose_program(found.solution, ProgramTarget(None, reads_input=True))
        assert syntax_text(choice.program) == syntax_text(program)


def test_a_tag_between_quotes_ends_no_thought():
    """Not even where a draft has left its code block open, so that the tag seems to be outside of code."""
    program = "print('</think>')\nprint(int(input()) + 1)"
    text = f"analysisOpen:\n```python\nprint(assistantfinalSo:\n\n```\n{program}\n```"
    found = reading(text, target=ProgramTarget(None, reads_input=True))
    assert found is None or choose_program(found.solution, ProgramTarget(None, reads_input=True)).program == program


FIRST = "```python\nprint(int(input()) + 1)\n```"
SECOND = "```python\nprint(int(input()) * 2)\n```"
NEXT_TURNS = [
    f"User: Double it.\n\nAssistant:\n\n{SECOND}",
    f"### Problem 2\n\nDouble it.\n\n{SECOND}",
    f"Question 2: Double it.\n\n{SECOND}",
    f"**Human:** Double it.\n\n{SECOND}",
    f"### Instruction:\nDouble it.\n\n### Response:\n{SECOND}",
    f"Q: Double it.\nA: {SECOND}",
    f"USER: Double it.\nASSISTANT: {SECOND}",
    f"### Question\nDouble it.\n\n### Answer\n{SECOND}",
    f"user\nDouble it.\nassistant\n{SECOND}",
    f"<|im_end|>\n<|im_start|>user\nDouble it.<|im_end|>\n<|im_start|>assistant\n{SECOND}",
    f"<|endoftext|>Double it.\n{SECOND}",
    f"</s>[INST] Double it. [/INST] {SECOND}",
    f"<|end|>\n<|user|>\nDouble it.<|end|>\n<|assistant|>\n{SECOND}",
    f"<|EOT|>\n### Instruction:\nDouble it.\n### Response:\n{SECOND}",
    f"User: Double it.\n\nAssistant: <begin_of_slow_thought>\nHm.\n<end_of_slow_thought>\n{SECOND}",
]


@pytest.mark.parametrize("turn", NEXT_TURNS)
@pytest.mark.parametrize(
    "opening",
    [
        *("", "<begin_of_slow_thought>\n\nAdd.\n\n", "<think>\nAdd.\n</think>\n\n"),
        "<begin_of_slow_thought>\n\nAdd.\n\n<end_of_slow_thought>\n\n<begin_of_solution>\n\n",
    ],
)
def test_of_an_answer_that_runs_on_the_first_counts(opening, turn):
    found = read(f"{opening}{FIRST}\n\n{turn}", target=ProgramTarget(None, reads_input=True))
    assert (found.solution, found.thought) == (FIRST, "Add." if opening else "")
    assert found.left_out.startswith(turn[:20])


@pytest.mark.parametrize("turn", NEXT_TURNS)
def test_a_code_block_left_open_in_the_thought_hides_neither_the_solution_nor_the_next_turn(turn):
    found = read(f"<think>Open:\n```python\nprint(</think>\n~~~python\nprint(input())\n~~~\n\n{turn}")
    assert (found.thought, found.solution) == ("Open:\n```python\nprint(", "~~~python\nprint(input())\n~~~")


def test_a_turns_marker_within_a_thought_or_a_program_is_text():
    thought = f"Draft:\n{FIRST}\n\nUser: wants more."
    assert read(f"<think>\n{thought}\n</think>\n\n{SECOND}") == Sections(thought, SECOND)
    program = '```python\ns = """\nUser: x\n"""\nprint(s, input())\n```'
    assert read(f"<think>\nHm.\n</think>\n\n{program}") == Sections("Hm.", program)
    words = f"It drops `<|im_end|>` and <s>words</s>.\n\n{FIRST}"
    assert read(f"<think>\nHm.\n</think>\n\n{words}") == Sections("Hm.", words)
    words = f"Drop each <pad> and <|im_end|> of it.\n\n{FIRST}"
    assert read(f"<think>\nHm.\n</think>\n\n{words}") == Sections("Hm.", words)
    bare = "print(input().replace('<|im_end|>', ''))"
    assert read(bare).solution == f"```python\n{bare}\n```"
    assert reading("I cannot.<|endoftext|>User: Double.\n" + SECOND) is None


def test_there_are_eighty_raw_answers():
    assert len(raw_answers()) >= 80
    assert len({case.name for case in raw_answers()}) == len(raw_answers())


@pytest.mark.parametrize("case", raw_answers(), ids=lambda case: case.name)
def test_a_raw_answer_is_read_as_a_person_would(case):
    try:
        found = read(case.text, case.finished)
    except Undecided as error:
        assert {"lost" if error.lost else "asked": str(error)} == case.expected
        return
    assert found.rule == case.expected.get("rule"), case.expected
    assert (found.thought, found.solution) == (case.expected["thought"], case.expected["solution"])
    assert found.left_out.startswith(case.expected.get("left out", "")) and bool(found.left_out) == (
        "left out" in case.expected
    )


def test_more_tags_than_anyone_would_write_are_refused():
    with pytest.raises(Undecided, match="more than 64 tags"):
        read("<think></think>" * 40 + "x")


def test_the_last_closed_block_is_the_solution_split_at_last_block():
    text = "Try\n```\na\n```\nbetter:\n```python\nb\n```\nDone."
    assert split_at_last_block(text, UNKNOWN_TARGET) == Sections(
        "Try\n```\na\n```\nbetter:", "```python\nb\n```\nDone."
    )
    assert split_at_last_block("<begin_of_slow_thought>\n\nhm\n\n```\nb()\n```", UNKNOWN_TARGET).thought == "hm"
    assert split_at_last_block("```\nThree.\n```", UNKNOWN_TARGET) is None
    assert split_at_last_block("```\nnever closed", UNKNOWN_TARGET) is None


def test_where_a_solution_may_begin_within_the_thought_no_block_is_the_last_resort():
    first = "def add(a, b):\n    return a + b"
    text = f"<think>Open:\n```python\nprint(</think>\n<answer>Add: ```python\n{first}\n```\n\n```cpp\nint x;\n```"
    second = "\n\nNow double it:\n\n```python\ndef add(a, b):\n    return 2 * a\n```"
    assert split_at_last_block(text + second, ProgramTarget("add")) is None


def test_by_convention_no_draft_of_a_thought_that_has_ended_is_the_solution():
    draft = "<think>\nDraft:\n```python\ndraft()\n```\n</think>\n\n"
    assert split_at_last_block(f"{draft}print(input())", UNKNOWN_TARGET) == Sections(
        "Draft:\n```python\ndraft()\n```", "```python\nprint(input())\n```"
    )
    assert split_at_last_block(f"{draft}I do not know.", UNKNOWN_TARGET) is None
    odd = split_at_last_block(f"{draft}```python\nprint(input())```\nDone.", UNKNOWN_TARGET)
    assert odd.solution == "```python\nprint(input())\n```\nDone."
    solution = "```python\nprint(3)\n```\nOutput:\n```\n3 4"
    assert split_at_last_block(f"{draft}{solution}", UNKNOWN_TARGET).solution == solution


@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_an_open_code_block_is_closed_by_its_own_fence(fence):
    solution = close_code_block(f"{fence}python\nprint(1)")
    assert solution == f"{fence}python\nprint(1)\n{fence}"
    assert find_program(render("", solution), UNKNOWN_TARGET) == "print(1)\n"
    assert close_code_block(solution) == solution
