"""Answers from the field: cases in `shared/field_cases`, and others of the same kinds, converted by rules alone."""

import gzip
import json
from dataclasses import replace

import pytest
from scripts import TACO_REAL

from hindsight.conversion.by_rules import RuleOptions, convert_answer
from hindsight.conversion.conversions import raw_answer
from hindsight.conversion.fidelity import FidelityLimits
from hindsight.conversion.sections import Undecided
from hindsight.text.program_choice import find_program
from hindsight.text.uniform_format import render

CASES = TACO_REAL.parent / "field_cases" / "answers.jsonl"
OPTIONS = RuleOptions("only", False, FidelityLimits(min_kept=0.9, max_new=10))
SUM = "a, b = map(int, input().split())\nprint(a + b)"
BLOCK = f"```python\n{SUM}\n```"


def converted(text, function=None, finish_reason="stop", thought_open=False):
    """The program and the thought of an answer; in place of the program "undecided" or "no answer"."""
    record = {"generated_text": text, "finish_reason": finish_reason, "thought_open": thought_open}
    answer = raw_answer((0, 0), {**record, "metadata": {"fn_name": function}, "question_id": 0, "sample_index": 0})
    try:
        conversion = convert_answer(answer, OPTIONS)
    except Undecided as error:
        return "no answer" if error.lost else "undecided", ""
    sections = conversion.sections
    return find_program(render(sections.thought, sections.solution), answer.target).strip(), sections.thought


@pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not here")
def test_each_case_from_the_field_is_read_as_a_person_would():
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    assert len(cases) >= 18
    for case in cases:
        text, function = case["generated_text"], case["function"]
        program, thought = converted(text, function, case["finish_reason"], case["thought_open"])
        assert program == case["program"].strip(), case["id"]
        assert case["thought_has"] in thought, case["id"]
        assert not case["thought_has_not"] or case["thought_has_not"] not in thought, case["id"]


@pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not here")
def test_of_a_real_models_right_answers_one_is_undecided_and_each_other_program_defines_the_function():
    with gzip.open(CASES.with_name("smollm2_mbpp.jsonl.gz"), "rt") as file:
        rows = [row for row in map(json.loads, file) if row["evalplus"] == "pass"]
    assert len(rows) == 60
    found = [converted(row["generated_text"], row["entry_point"], row["finish_reason"])[0] for row in rows]
    lost = [
        (row["question_id"], row["sample_index"], code)
        for row, code in zip(rows, found, strict=True)
        if " " not in code
    ]
    assert lost == [(456, 2, "undecided")]
    assert all(f"def {row['entry_point']}(" in code for row, code in zip(rows, found, strict=True) if " " in code)


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        (
            f"<|channel|>analysis<|message|>Add.<|end|><|start|>assistant<|channel|>final<|message|>{BLOCK}<|return|>",
            "Add.",
        ),
        (f"Add.<|end|><|start|>assistant<|channel|>final<|message|>{BLOCK}", "Add."),
        (f"analysisAdd them.assistantfinalSo:\n\n{BLOCK}", "Add them."),
        (f"analysisAdd.\nassistantfinal{SUM}\n```\nDone.", "Add."),
        (f"<thinking>Add.</thinking>\n{BLOCK}<|im_end|>", "Add."),
        (f"[THINK]Add.[/THINK]{BLOCK}</s>", "Add."),
        (f"<seed:think>\nAdd.\n</seed:think>\n{BLOCK}", "Add."),
        (f"<think>Add.</think><answer>\n{BLOCK}\n</answer>", "Add."),
        (f"<think>Add.</think>\nSo: <|begin_of_box|>\n{BLOCK}\n<|end_of_box|>", "Add."),
        (f"<think>Add.</think><answer>So:\n<|begin_of_box|>{BLOCK}<|end_of_box|></answer>", "Add."),
        (f"<think>Add.</think>\n<|begin_of_box|>{BLOCK}\n```bash\npython a.py\n```<|end_of_box|>", "Add."),
        (
            f"<think>Open:\n```python\nprint(inp</think>\n<answer>~~~python\n{SUM}\n~~~</answer>",
            "Open:\n```python\nprint(inp",
        ),
        (f"<|im_start|>assistant\n<think>\nAdd.\n</think>\n\n{BLOCK}<|im_end|>\n", "Add."),
        (f"<think>Add.</think><answer>{SUM}</answer>", "Add."),
        (f"## Thought\n\nAdd.\n\n## Solution\n\n{BLOCK}", "Add."),
        (f"<start_of_turn>model\n<think>Add.</think>\n{BLOCK}<end_of_turn>", "Add."),
        (f"<think>\nAdd.\n</think>\n\n<think>\nAdd.\n</think>\n\n{BLOCK}", "Add."),
        (f"<think>\nAdd.\n</think>\n\n> {BLOCK.replace(chr(10), chr(10) + '> ')}", "Add."),
    ],
)
def test_dialects_and_leftovers(text, thought):
    assert converted(text) == (SUM, thought)


@pytest.mark.parametrize("word", ["assistantfinal", "<|channel|>final<|message|>", "<|im_end|>"])
@pytest.mark.parametrize(
    "form", ["{}", "<think>Hm.</think>\n{}", "<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>{}"]
)
def test_a_marker_in_a_program_is_text(form, word):
    program = f"print(input().replace('{word}', ''))"
    assert converted(form.format(f"```python\n{program}\n```"))[0] == program


def test_a_thought_cut_off_by_length_is_no_answer_with_its_tag_or_without():
    draft = f"First idea:\n\n{BLOCK}\n\nWait, is that"
    assert converted(draft, finish_reason="length", thought_open=True)[0] == "no answer"
    assert converted(f"<think>\n{draft}", finish_reason="length")[0] == "no answer"
    assert converted(f"<|channel|>analysis<|message|>{draft}", finish_reason="length")[0] == "no answer"
    assert converted(f"{draft}\n</think>\n\n{BLOCK}\n\nThis ad", finish_reason="length", thought_open=True)[0] == SUM
    assert converted(f"{BLOCK}\n\nThis ad", finish_reason="length")[0] == SUM


def test_a_thought_that_has_ended_without_a_solution_is_no_answer():
    assert converted(f"<think>\n{BLOCK}\n</think>\n")[0] == "no answer"
    assert converted(f"<|channel|>analysis<|message|>{BLOCK}<|end|>")[0] == "no answer"


def test_the_first_answer_counts_also_where_the_next_is_cut_within_a_tag():
    first = f"<begin_of_slow_thought>\nAdd.\n<end_of_slow_thought>\n<begin_of_solution>\n{BLOCK}\n<end_of_solution>"
    text = f"{first}\n\nUser: Double it.\n\nAssistant: {first.replace('Add', 'Double')[:-4]}"
    assert converted(text, finish_reason="length") == (SUM, "Add.")


@pytest.mark.parametrize("first", [SUM, f"So:\n\n{SUM}\n\nIt adds.", f"So: ```{SUM.splitlines()[0]}```"])
def test_the_first_answer_counts_also_if_its_program_is_in_no_code_block(first):
    turn = "User: Double it.\n\nAssistant: ```python\nprint(int(input()) * 2)\n```"
    for opening in ("", "<begin_of_slow_thought>\n\n"):
        assert converted(f"{opening}{first}\n\n{turn}")[0] == converted(f"{opening}{first}")[0]
        assert converted(f"{opening}I cannot do this.\n\n{turn}")[0] == "no answer"


def test_of_a_solution_cut_off_by_length_a_whole_program_before_counts():
    assert converted(f"{BLOCK}\n\nBetter:\n\n```python\na, b = map(", finish_reason="length")[0] == SUM
    assert converted("Here:\n\n```python\na, b = map(", finish_reason="length")[0] == "no answer"


@pytest.mark.parametrize("cut", ["def add(*each):\n    return su", "def add(*each):\n    retu", "def add(*each", ""])
def test_a_block_that_the_token_limit_cut_off_does_not_displace_a_whole_program(cut):
    whole = "def add(a, b):\n    return a + b"
    solution = f"```python\n{whole}\n```\n\nImproved:\n\n```python\n{cut}"
    for thought in (
        "",
        "<think>\nHm.\n</think>\n\n",
        "<begin_of_slow_thought>\nHm.\n<end_of_slow_thought>\n<begin_of_solution>\n",
    ):
        assert converted(f"{thought}{solution}", "add", "length")[0] == whole
    assert converted(f"<think>\n{solution}", "add", "length")[0] == "no answer"
    assert converted(f"<think>\n```python\n{whole}\n```\n</think>\n```python\n{cut}", "add", "length")[0] == "no answer"
    two = f"{BLOCK}\n\nOr:\n\n```python\nprint(sum(map(int, input().split())))"
    assert converted(two, finish_reason="length")[0] == SUM
    assert converted(two)[0] == "undecided"


def test_a_comment_about_a_second_part_is_no_next_turn_in_a_program_without_a_closing_fence():
    parts = "# Task 1: read\nn = int(input())\n# Task 2: print\nprint(n * 2)"
    helper = "def twice(n):\n    return 2 * n\n\n\n# Problem 2\ndef four(n):\n    return twice(twice(n))"
    assert converted(parts)[0] == parts and converted(helper, "four")[0] == helper
    for opening in ("```python\n", "<think>\nHm.\n</think>\n\n```python\n"):
        assert converted(f"{opening}{parts}")[0] == parts and converted(f"{opening}{helper}", "four")[0] == helper
        assert converted(f"{opening}{helper}", "twice")[0] == "def twice(n):\n    return 2 * n"
    uses = "def four(n):\n    return twice(twice(n))\n\n# Problem 2\ndef twice(n):\n    return 2 * n"
    assert converted(uses, "four")[0] == uses
    assert converted(f"{SUM}\n\n# Problem 2\nprint(int(input()) * 2)")[0] == SUM
    assert converted(helper, "twice")[0] == "def twice(n):\n    return 2 * n"


@pytest.mark.parametrize(
    "text", [">>> def add(a, b):\n...     return a + b\n", "```diff\n+def add(a, b):\n+    return a + b\n```"]
)
def test_a_program_behind_prompts_or_in_a_diff_is_undecided_and_not_missing(text):
    assert converted(f"So:\n\n{text}", "add")[0] == "undecided"


def test_windows_line_ends_change_nothing():
    code = "def add(a, b):\n    c = a\n\n    return c + b"
    listed = f"```python\n{code}\n```".replace("\n", "\n   ")
    for text in (f"1. So:\n\n   {listed}", f"So:\n\n{code}\n\nIt adds.", f"<think>\nHm.\n</think>\n{code}"):
        assert converted(text.replace("\n", "\r\n"), "add") == converted(text, "add")
        assert converted(text, "add")[0] == code


def test_special_tokens_are_counted():
    answer = raw_answer((0, 0), {"generated_text": f"<s>{BLOCK}<|im_end|>\n</s>", "question_id": 0, "sample_index": 0})
    assert convert_answer(answer, OPTIONS).details["special_tokens"] == 3


def test_an_answer_without_a_program_is_none_and_two_programs_are_undecided():
    assert converted("<think>\nHm.\n</think>\n\nI do not know.")[0] == "no answer"
    assert converted("<think>\nHm.\n</think>\n\nprint(int(input())")[0] == "undecided"
    assert converted("print(input())\n```\nprint(int(input()))\n```")[0] == "undecided"
    assert converted(
        f"<think>\nHm.\n</think>\n\n{BLOCK}\n\nOr:\n\n```python\nprint(sum(map(int, input().split())))\n```"
    )[0] == ("undecided")


@pytest.mark.parametrize(
    "text",
    [
        f"```markdown\nThe program:\n\n{BLOCK}\n\nIt adds.\n```\nDone.",
        f"<think>\nHm.\n</think>\n\n````md\n## Program\n{BLOCK}\n````",
        f"````\nThe program:\n{BLOCK}\n````",
        f"```markdown\n{BLOCK}\nRun it:\n```bash\npython add.py\n```\n```",
    ],
)
def test_fences_around_words_with_code_blocks_are_no_block(text):
    assert converted(text)[0] == SUM


def test_a_block_of_words_beside_the_program_stays():
    answer = f"{BLOCK}\n\n```markdown\n# Add\n```python\nprint(input(), input())\n```\n```"
    assert converted(answer)[0] == SUM


@pytest.mark.parametrize(
    "next_turn", ["</s>[INST] Next [/INST] ", " [INST] Next [/INST] ", "<｜User｜>Next<｜Assistant｜>"]
)
def test_the_first_answer_counts_also_if_the_next_turn_is_on_the_line_of_its_closing_fence(next_turn):
    assert converted(f"{BLOCK}{next_turn}```python\nprint(input() * 2)\n```</s>")[0] == SUM


@pytest.mark.parametrize("token", ["<|thinking|>Hm.<|/thinking|>", "So: <|python_tag|>", "<|tool_call|>"])
def test_a_special_token_within_an_answer_does_not_end_it(token):
    assert converted(f"Hm.\n{token}\n{BLOCK}<|eot_id|>")[0] == SUM


@pytest.mark.parametrize("words", ["[BEGIN]\n{}\n[DONE]", "{}\n\nDone", "[PYTHON]\n{}\n[/PYTHON]"])
def test_words_that_are_python_by_chance_are_no_part_of_a_program_without_fences(words):
    assert converted(words.format(SUM))[0] == SUM


def test_a_solution_that_ends_before_its_closing_fence_is_read():
    thought = "<begin_of_slow_thought>\nHm.\n<end_of_slow_thought>\n<begin_of_solution>\n"
    assert converted(f"{thought}```python\n{SUM}\n<end_of_solution>\n```")[0] == SUM
    assert converted(f"{thought}```python\n{SUM}\n</answer>\n```\n")[0] == SUM


def test_a_program_in_lines_that_are_all_indented_is_read():
    assert converted("So:\n\n    a, b = map(int, input().split())\n    print(a + b)\n\nThat is all.")[0] == SUM


def test_of_two_programs_the_one_that_is_called_final_is_the_program_and_stays_with_these_words():
    other = "```python\nprint(sum(map(int, input().split())))\n```"
    assert converted(f"First:\n\n{other}\n\n## Final Solution\n\n{BLOCK}")[0] == SUM
    assert converted(f"**Final program:**\n\n{BLOCK}\n\nAlternatively:\n\n{other}")[0] == SUM
    assert converted(f"It prints the final sum.\n\n{other}\n\nOr\n\n{BLOCK}")[0] == "undecided"
    assert converted(f"Final:\n\n{other}\n\nFinal:\n\n{BLOCK}")[0] == "undecided"


@pytest.mark.parametrize(
    "words", ["Now it prints the final sum:", "## Keep the original order", "**Fixed window size**"]
)
def test_a_word_about_something_else_than_the_program_decides_nothing(words):
    other = "```python\nprint(int(input()) * 2)\n```"
    for one, two in ((f"{words}\n\n{other}", f"Or:\n\n{BLOCK}"), (f"First:\n\n{other}", f"{words}\n\n{BLOCK}")):
        assert converted(f"{one}\n\n{two}")[0] == "undecided"


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (json.dumps({"explanation": "Add them.", "code": SUM}), "code in JSON"),
        (BLOCK.replace(" + ", "\u00a0+ "), "odd characters"),
        (f"```python\n{SUM}\n\nOutput:\n```\n3\n```", "words in a code block"),
    ],
)
def test_what_made_a_program_readable_is_recorded(text, how):
    assert converted(text)[0] == converted(f"<think>\nHm.\n</think>\n\n{text}")[0] == SUM
    answer = raw_answer((0, 0), {"generated_text": text, "question_id": 0, "sample_index": 0})
    assert convert_answer(answer, OPTIONS).details["rewritten"] == how
    assert "rewritten" not in convert_answer(replace(answer, text=BLOCK, rewritten=""), OPTIONS).details
    record = {"prompt_style": "evalplus", "continues": "", "generated_text": text, "question_id": 0, "sample_index": 0}
    assert raw_answer((0, 0), record).text == text  # the figure has EvalPlus's rules
