"""Which text of a solution is the program: cases worked out by hand, and laws over programs in every style of fence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs_in_answers import PROGRAMS, STYLES

from hindsight.text.program_choice import (
    TWO_PROGRAMS,
    UNKNOWN_TARGET,
    ProgramTarget,
    choose_program,
    find_program,
    solution_of,
    target_of,
)
from hindsight.text.programs import syntax_text
from hindsight.text.uniform_format import render

STDIN = ProgramTarget(None, reads_input=True)
ADD = ProgramTarget("add", reads_input=False)
READS = "n = int(input())\nprint(n + 1)\n"
DEFINES = "def add(a, b):\n    return a + b\n"


def block(code, language="python"):
    return f"```{language}\n{code.rstrip()}\n```"


def chosen(solution, target):
    choice = choose_program(solution, target)
    assert not choice.undecided
    return choice.program


@pytest.mark.parametrize(
    "other",
    [
        block("print(add(1, 2))  # 3"),
        block("assert add(1, 2) == 3"),
        block("from solution import add\nprint(add(1, 2))"),
        block("3", ""),
        block("[3, 2, 1]", ""),
        block("a = 1\nb = 2", "text"),
        block("int add(int a, int b) { return a + b; }", "cpp"),
        block("def add(a, b): return a", "text"),
        block("def add(a, b:\n    return", "python"),
        block("$ python add.py\n3", "bash"),
        block(">>> add(1, 2)\n3", "python"),
        block("def other(a):\n    return a"),
    ],
)
def test_nothing_displaces_the_block_that_defines_the_function(other):
    assert chosen(f"{block(DEFINES)}\n\nExample:\n\n{other}", ADD) == DEFINES
    assert chosen(f"{other}\n\nSo:\n\n{block(DEFINES)}", ADD) == DEFINES


@pytest.mark.parametrize(
    "language", ["python3.11", "Python 3", 'py title="a.py"', "python:main.py", "{.python}", "PY", ""]
)
def test_pythons_tags_are_many(language):
    cpp = block("int main() { }", "cpp")
    assert chosen(f"{block(READS, language)}\n{cpp}", STDIN) == READS


def test_of_several_blocks_that_define_the_function_the_last_is_the_program():
    better = "def add(*each):\n    return sum(each)\n"
    assert chosen(f"{block(DEFINES)}\nBetter:\n{block(better)}", ADD) == better


def test_a_definition_without_a_body_is_the_program_only_if_there_is_no_other():
    stub = 'def add(a, b):\n    """Adds."""\n    ...\n'
    assert chosen(f"{block(DEFINES)}\nThe form was:\n{block(stub)}", ADD) == DEFINES
    assert chosen(f"{block(stub)}\n{block('print(add(1, 2))')}", ADD) == stub
    raises = "def add(a, b):\n    raise NotImplementedError('yet')\n"
    assert chosen(f"{block(DEFINES)}\nThe form was:\n{block(raises)}", ADD) == DEFINES


def test_the_line_before_a_block_may_say_that_it_is_or_is_not_the_program():
    other = "def add(*each):\n    return sum(each)\n"
    for words in ("## Final Solution", "**Final code**", "So here is the final version:"):
        assert chosen(f"{words}\n\n{block(DEFINES)}\nAlternative:\n{block(other)}", ADD) == DEFINES
    assert chosen(f"{block(DEFINES)}\nThe original code was:\n{block(other)}", ADD) == DEFINES
    assert chosen(f"{block(other)}\nBetter:\n{block(DEFINES)}\nThe original:\n{block(other)}", ADD) == DEFINES
    assert chosen(f"Wrong:\n{block(DEFINES)}", ADD) == DEFINES
    assert chosen(f"The code:\n{block(other)}\nis wrong. Fixed:\n{block(DEFINES)}", ADD) == DEFINES
    assert chosen(f"Final:\n{block(other)}\nFinal:\n{block(DEFINES)}", ADD) == DEFINES
    assert chosen(f"Wrong:\n{block(READS)}\nCorrected:\n{block('print(float(input()) + 1)')}", STDIN).startswith(
        "print"
    )


@pytest.mark.parametrize(
    "later",
    [
        "def add(a, b):\n    # ... as above\n    return total",
        "def add(a, b):\n    a = int(a)\n    ...\n    return a",
        "def add(a, b):\n    if not b:\n        return a",
    ],
)
def test_a_definition_with_code_left_out_displaces_no_whole_one(later):
    whole = "def add(a, b):\n    if not b:\n        return a\n    return a + b\n"
    assert chosen(f"{block(whole)}\nExplained:\n{block(later)}", ADD) == whole
    assert chosen(block(later), ADD) == f"{later}\n"


BRANCH = "def add(a, b):\n    if not b:\n        return a"
CLASS = "class Solution:\n    def __init__(self):\n        self.sum = 0"
SOLVE = "def solve():\n    n = int(input())"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (ADD, (BRANCH, "    return a + b")),
        (ADD, ("def add(a, b):", "    if not b:\n        return a", "    return a + b")),
        (ADD, ("def add(a, b):\n    return sum(", "        [a, b]\n    )")),
        (ADD, (CLASS, "    def add(self, a, b):\n        return a + b")),
        (STDIN, (SOLVE, "    print(n)", "solve()")),
        (STDIN, ("for _ in range(int(input())):", "    print(int(input()) * 2)")),
        (STDIN, ("if int(input()):\n    print(1)", "else:\n    print(0)")),
        (STDIN, ("try:\n    print(int(input()))", "except EOFError:\n    print(0)")),
    ],
)
@pytest.mark.parametrize("margin", ["", "   "])
def test_a_block_that_continues_the_lines_of_the_one_before_belongs_to_its_program(target, parts, margin):
    blocks = [block(part).replace("\n", f"\n{margin}") for part in parts]
    solution = "\n".join(f"Then:\n{margin}{each}" for each in blocks)
    assert chosen(solution, target) == "\n".join(parts) + "\n"


def test_an_indented_part_of_a_whole_program_continues_nothing():
    whole = f"{BRANCH}\n    return a + b\n"
    branch, end = block("    if not b:\n        return a"), block("    return a + b")
    for parts in (f"{branch}\nor\n{block('    return b + a')}", f"{block('def add(a, b):')}\nand\n{end}", branch):
        assert chosen(f"{block(whole)}\nIn words:\n{parts}", ADD) == whole
    ends = "for n in input():\n    if n:\n        print(n)\n    else:\n        print(0)\n"
    assert chosen(f"{block(ends)}\nHere\n{block('else:' + chr(10) + '    print(0)')}", STDIN) == ends
    prints = "n = int(input())\nif n:\n    print(n)\n"
    assert chosen(f"{block(prints)}\nLonger:\n{block('    print(n, n)')}", STDIN) == prints


def test_a_program_that_is_explained_in_parts_stays_the_program():
    whole = f"{BRANCH}\n    return a + b\n"
    parts = f"{block(BRANCH)}\nthen\n{block('        return a' + chr(10) + '    return a + b')}"
    assert chosen(f"{block(whole)}\nFirst\n{parts}", ADD) == whole
    method = f"{CLASS}\n    def add(self, a, b):\n        return a + b\n"
    assert (
        chosen(f"{block(method)}\nHere\n{block('    def add(self, a, b):' + chr(10) + '        return a + b')}", ADD)
        == method
    )
    loop = "for _ in range(int(input())):\n    n = int(input())\n    print(n)\n"
    assert chosen(f"{block(loop)}\nHere\n{block('n = int(input())')}\nand\n{block('print(n)')}", STDIN) == loop
    known = f"t = int(input())\n{loop.replace('int(input())):', 't):')}"
    count = "for _ in range(t):\n    n = int(input())\n"
    twice = f"{block('t = int(input())' + chr(10) + count)}\nand\n{block(count + '    print(n)')}"
    assert chosen(f"{block(known)}\nHere\n{twice}", STDIN) == known
    assert chosen(
        f"{block(DEFINES + 'print(add(1, 2))')}\nHere\n{block('    c = a' + chr(10) + 'return c')}", STDIN
    ) == (f"{DEFINES}print(add(1, 2))\n")
    assert chosen(f"{block(known)}\nHere\n{block(known.partition(chr(10))[2])}", STDIN) == known


def test_a_block_in_a_list_continues_nothing_by_the_lists_margin():
    test = block("import unittest\nclass Test(unittest.TestCase): pass\nunittest.main()").replace("\n", "\n   ")
    assert chosen(f"{block(DEFINES)}\n1. Test:\n\n   {test}", ADD) == DEFINES


def test_a_transcript_of_the_interpreter_is_the_program_if_it_alone_defines_the_function():
    transcript = ">>> def add(a, b):\n...     return a + b\n...\n>>> add(1, 2)\n3"
    assert chosen(f"{block(transcript)}\nIt adds.", ADD) == f"{DEFINES}\nadd(1, 2)\n"
    assert chosen(f"{block(DEFINES)}\nTry it:\n{block(transcript)}", ADD) == DEFINES
    assert not choose_program(block(">>> add(1, 2)\n3"), ADD).fits
    notebook = "In [1]: def add(a, b):\n   ...:     return a + b\n   ...:\n\nIn [2]: add(1, 2)\nOut[2]: 3"
    assert chosen(block(notebook), ADD) == f"{DEFINES}\nadd(1, 2)\n"
    assert chosen(block(">>> n = int(input())\n3\n>>> print(n + 1)\n4"), STDIN) == READS


def test_a_byte_order_mark_is_no_part_of_a_program():
    assert choose_program(f"\ufeff{DEFINES}", ADD).fits and choose_program(block(f"\ufeff{DEFINES}"), ADD).fits


def test_a_program_before_or_between_blocks_that_do_not_fit_is_found():
    assert chosen(f"{DEFINES}\nUsage:\n{block('print(add(1, 2))')}", ADD) == DEFINES
    assert chosen(f"So:\n\n{READS}\nIt prints\n{block('4', '')}\nfor 3.", STDIN) == READS
    broken = "def add(a, b:\n    return a\n"
    assert chosen(f"{block(broken)}\nCall it:\nprint(add(1, 2))", ADD) == broken


def test_a_block_that_names_no_python_is_the_program_if_it_alone_defines_the_function():
    assert chosen(f"{block(DEFINES, 'text')}\n{block('print(add(1, 2))')}", ADD) == DEFINES


def test_a_class_defines_its_methods():
    code = "class Solution:\n    def add(self, a, b):\n        return a + b\n"
    assert chosen(f"{block(code)}\n{block('print(Solution().add(1, 2))')}", ADD) == code


def test_standard_input_is_read_by_the_program_and_not_by_what_only_calls_it():
    main = "def main():\n    print(int(input()) + 1)\n\n\nmain()\n"
    for other in ("main()", "print(7)", "x = input()", "def test():\n    assert main() is None"):
        assert chosen(f"{block(main)}\nTo try it:\n{block(other)}", STDIN) == main


def test_two_programs_that_read_and_print_are_undecided_unless_the_later_has_all_of_the_first():
    other = "import sys\nprint(int(sys.stdin.read()) + 1)\n"
    choice = choose_program(f"{block(READS)}\nOr:\n{block(other)}", STDIN)
    assert (choice.undecided, choice.program) == (TWO_PROGRAMS, other)
    longer = "n = int(input())\nn = abs(n)\nprint(n + 1)\n"
    assert chosen(f"{block(READS)}\nWith a sign:\n{block(longer)}", STDIN) == longer
    assert choose_program(f"{block(longer)}\nShort:\n{block(READS)}", STDIN).undecided
    assert chosen(f"{block(READS)}\nThe same:\n{block(READS)}", STDIN) == READS


def test_without_a_program_that_reads_the_last_is_the_program():
    assert chosen(f"{block('print(2)')}\nor\n{block('print(3)')}", STDIN) == "print(3)\n"
    assert chosen(f"{block('print(3)')}\nOutput:\n{block('3')}", STDIN) == "print(3)\n"


def test_a_helper_goes_with_the_program_that_uses_it():
    helper, main = "def twice(n):\n    return 2 * n\n", "print(twice(int(input())))\n"
    assert chosen(f"{block(helper)}\nThen:\n{block(main)}", STDIN) == helper + main
    uses = "def add(a, b):\n    return twice(a) - a + b\n"
    assert chosen(f"{block(helper)}\n{block('x = 1')}\n{block(uses)}", ADD) == helper + uses
    assert chosen(f"{block('import math')}\n{block('def add(a, b): return math.fsum([a, b])')}", ADD) == (
        "import math\ndef add(a, b): return math.fsum([a, b])\n"
    )
    assert chosen(f"{block(uses)}\nwhere\n{block(helper)}\nso\n{block('print(add(1, 2))')}", ADD) == helper + uses
    constant, modulo = "MOD = 10**9 + 7\n", "def add(a, b):\n    return (a + b) % MOD\n"
    assert chosen(f"{block(constant)}\n{block(modulo)}\n{block('x = 1')}", ADD) == constant + modulo
    star = "from math import *\n"
    assert chosen(f"{block(star)}\n{block('print(sqrt(int(input())))')}", STDIN) == f"{star}print(sqrt(int(input())))\n"
    own = f"{helper}{main}"
    assert chosen(f"{block('def twice(n):' + chr(10) + '    return n')}\n{block(own)}", STDIN) == own


def test_a_program_in_parts_runs_from_its_call():
    solve = "def solve():\n    n = int(input())\n    print(n + 1)\n"
    assert chosen(f"{block(solve)}\nCall it:\n{block('solve()')}", STDIN) == f"{solve}solve()\n"
    assert chosen(f"Read:\n{block('n = int(input())')}\nPrint:\n{block('print(n + 1)')}", STDIN) == READS


@pytest.mark.parametrize(
    "solution",
    [
        f"The program: ```python\n{READS}```\nDone.",
        f"```python\n{READS.rstrip()}```",
        f"```python\n{READS.rstrip()}```<|im_end|>",
        f"```python\n{READS}```<|im_end|>",
        f"```python\n{READS}```</s>\nmore words",
        f"```python\n{READS}``` This reads a number.",
        f"{READS}```\n\nThis reads a number.",
        f"Here it is:\n\n{READS}```\n",
        f"{READS.rstrip()}```",
        f"> ```python\n> {READS.rstrip().replace(chr(10), chr(10) + '> ')}\n> ```\n",
        f"1. So:\n\n   ```python\n   {READS.rstrip().replace(chr(10), chr(10) + '   ')}\n   ```\n",
        f"- ```python\n  {READS.rstrip().replace(chr(10), chr(10) + '  ')}\n  ```\n",
        f"```python\n{READS}",
        f"```python\n    {READS.rstrip().replace(chr(10), chr(10) + '    ')}\n```",
        f"```python\nprint(\n\nThat was wrong:\n\n```python\n{READS}```\n",
        f"````python\n{READS}```",
        f"- ```python\n  {READS.rstrip().replace(chr(10), chr(10) + '  ')}\n  ```\n1. It reads.",
        f"python\n{READS}",
        f"The program:\n{READS}\nThis prints the next number (n + 1).\nOutput: 3",
        f"<pre><code>\n{READS}</code></pre>",
        f"## Program\n{READS}\n## Explanation\nIt's simple: `n` is read first.",
        READS,
    ],
)
def test_fences_as_models_write_them(solution):
    choice = choose_program(solution, STDIN)
    assert (choice.program.strip(), choice.undecided, choice.fits) == (READS.strip(), "", True)


@pytest.mark.parametrize(
    "form",
    ["```python {}```", "```{}```", "So: ```py {} ``` That is all.", "Use ```{}``` for it.", "```python {}\n```"],
)
def test_a_fence_may_open_and_close_in_one_line(form):
    program = "print(int(input()) + 1)"
    choice = choose_program(form.format(program), STDIN)
    assert (choice.program.strip(), choice.fits, choice.undecided) == (program, True, "")


def test_of_a_text_without_blocks_no_part_of_a_broken_program_and_none_of_two_is_taken():
    add = "def add(a, b):\n    return a + b\n\n"
    assert chosen(f"To add:\n{add}It returns the sum.", ADD).strip() == add.strip()
    assert chosen(f"To add:\n{add}For example,\nprint(add(1, 2))", ADD).strip() == add.strip()
    for broken in (
        "def other(",
        "print(add(1, 2)",
        "assert add([1) == 2",
        "# To try it:\nadd(1, 2] = 3",
        'It adds.\n"""\npass',
    ):
        assert not choose_program(f"{add}{broken}", ADD).fits
    assert choose_program(f"One:\n{add}Or this one:\ndef add(*each): return sum(each)", ADD).undecided
    assert choose_program("I read n, then print n + 1.", STDIN).program is None


@pytest.mark.parametrize(
    "words",
    [
        "该函数求和。",
        "Это функция суммы.",
        "✅ Done!",
        "$O(1)$ time",
        "`a + b`",
        "---",
        "add(1, 2) returns 3.",
        "Python3 code:",
        "O(1)",
        "[/code]",
    ],
)
def test_words_in_any_script_end_a_program_without_fences(words):
    assert chosen(f"{words}\n\n{DEFINES}\n{words}", ADD).strip() == DEFINES.strip()
    assert chosen(f"{DEFINES}\n{words}", ADD).strip() == DEFINES.strip()


@pytest.mark.parametrize("line", ["add(1, 2) if a else (", "print(add(1, 2) for a in ("])
def test_a_broken_line_of_code_is_no_words(line):
    assert not choose_program(f"{DEFINES}\n{line}", ADD).fits


def test_a_fence_in_a_string_does_not_end_the_program():
    code = '"""Reads.\n\n```\n3\n```\n"""\nn = int(input())\nprint(n)\n'
    assert chosen(f"```python\n{code}```\n", STDIN) == code
    assert chosen(f"```\n{code}```\nOutput:\n```\n3\n```", STDIN) == code


def test_two_readings_of_the_fences_that_give_two_programs_are_undecided():
    assert choose_program("print(input())\n```\nprint(int(input()))\n```", STDIN).undecided
    headless = f"{DEFINES}```\n\nHowever, shorter:\n\n```python\ndef add(*each): return sum(each)\n```"
    assert chosen(headless, ADD) == "def add(*each): return sum(each)\n"


def test_where_nothing_parses_pythons_block_is_the_program_and_no_code_is_none():
    broken = "def add(a, b:\n    return a + b\n"
    assert choose_program(f"{block(broken)}\n{block('3', '')}", ADD).program == broken
    assert not choose_program(block(broken), ADD).fits
    cpp = "int main() { }\n"
    assert choose_program(block(cpp, "cpp"), STDIN).program == cpp
    for nothing in ("No idea.", block("3", ""), "", block("")):
        assert choose_program(nothing, STDIN).program is None


def test_without_a_target_a_usage_snippet_is_still_no_program():
    assert chosen(f"{block(DEFINES)}\n{block('print(add(1, 2))')}", UNKNOWN_TARGET) == DEFINES
    assert chosen(f"{block(READS)}\n{block('3', '')}", UNKNOWN_TARGET) == READS


def test_a_target_is_what_an_answers_problem_says():
    assert target_of({"fn_name": "add"}) == ADD
    assert target_of({"fn_name": None}) == target_of({"input_output": '{"inputs": []}'}) == STDIN
    assert target_of({"input_output": '{"fn_name": "add"}'}) == ADD
    assert target_of({"question": "?"}) == target_of(None) == target_of("text") == UNKNOWN_TARGET
    assert target_of({"input_output": '{"fn_name": "add"'}) == UNKNOWN_TARGET
    assert (
        target_of({"fn_name": ["add"]}) == target_of({"fn_name": 5}) == target_of({"input_output": 5}) == UNKNOWN_TARGET
    )


def test_a_solution_begins_at_the_tag_after_the_thought():
    assert find_program(render("```\nthought()\n```", block(READS)), STDIN) == READS
    assert find_program(render("a block left open\n```python\nx", block(READS)), STDIN) == READS
    assert find_program(render("```\nthought()\n```", "no code"), STDIN) is None
    assert find_program(block("no sections"), STDIN) is None
    assert find_program("<begin_of_solution>\n```python\nx = 1\n<end_of_solution>", STDIN) == "x = 1\n"
    quoted = 'print("<end_of_solution>", input())\n'
    assert find_program(render("", block(quoted)), STDIN) == quoted
    assert solution_of("<|begin_of_solution|>x<|end_of_solution|> bye") == "x"


@settings(max_examples=250)
@given(PROGRAMS, st.sampled_from(sorted(STYLES)), st.sampled_from([STDIN, ProgramTarget("f"), UNKNOWN_TARGET]))
def test_a_program_in_any_style_of_fence_is_found_or_undecided_but_never_another(program, style, target):
    choice = choose_program(STYLES[style].format(program), target)
    if not choice.undecided and choice.fits:
        assert syntax_text(choice.program) == syntax_text(program)


@given(PROGRAMS)
def test_a_program_in_a_usual_block_is_always_found(program):
    assert choose_program(f"```python\n{program}\n```", STDIN).fits


@given(st.text("`~\n x=1p>-#\"'", max_size=60), st.sampled_from([STDIN, ADD, UNKNOWN_TARGET]))
def test_any_text_has_one_program_or_none(text, target):
    choice = choose_program(text, target)
    assert choice.program is None or choice.blocks or choice.program == text
    assert not choice.fits or syntax_text(choice.program) is not None


def test_a_block_of_a_million_characters_takes_no_time_outside_of_it():
    code = f"x = {'-' * 1_000_000}1"
    assert chosen(f"{block(code)}\nThat is all.\n", STDIN).strip() == code
