"""Different programs: differences that normalising keeps, and counts worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.embedding_diversity import vendi_score
from analysis.measures.program_diversity import distinct_programs, effective_programs, normalise

EFFECTIVE = 3 / 2 ** (2 / 3)  # exp of the entropy of the shares 2/3 and 1/3

SAME_PROGRAMS = [
    "n = int(input())\nfor i in range(n):\n    print(i)",
    "count=int( input() )  # how many\nfor number in range(count): print(number)",
]
OTHER_PROGRAM = "n = int(input())\nfor i in range(n):\n    print(n)"


def test_programs_that_differ_only_in_names_and_layout_count_once():
    assert distinct_programs([*SAME_PROGRAMS, OTHER_PROGRAM]) == pytest.approx(2 / 3)
    functions = [
        "def f(a, *b):\n    global c\n    c = a\n    return f",
        "def g(x, *y):\n    global z\n    z = x\n    return g",
    ]
    assert distinct_programs(functions) == 0.5
    aliases = ["import math as m\nprint(m.pi)", "import math as q\nprint(q.pi)", "import cmath as q\nprint(q.pi)"]
    assert distinct_programs(aliases) == pytest.approx(2 / 3)


def test_effective_programs_are_the_exponential_of_the_entropy_of_their_shares():
    assert effective_programs([*SAME_PROGRAMS, OTHER_PROGRAM]) == pytest.approx(EFFECTIVE)
    assert effective_programs(SAME_PROGRAMS) == pytest.approx(1)
    assert effective_programs(["a = 1", "a = 2", "a = 3"]) == pytest.approx(3)
    for measure in (distinct_programs, effective_programs):
        with pytest.raises(ValueError, match="no programs"):
            measure([])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_effective_programs_equal_the_vendi_score_of_one_hot_vectors(numbers):
    assert effective_programs([f"print({number})" for number in numbers]) == pytest.approx(
        vendi_score(np.eye(5)[numbers])
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("print(sorted(a))", "print(reversed(a))"),  # names that the program does not bind
        ("a.append(1)", "a.extend(1)"),  # attributes
        ("sorted(x, key=len)", "sorted(x, reverse=len)"),  # keywords of calls
        ("a = 1\nb = 2\nprint(a)", "a = 1\nb = 2\nprint(b)"),  # which of two names
        ("a = 1\nb = a", "a = 1\nb = b"),
    ],
)
def test_programs_that_do_different_things_stay_different(one, other):
    assert normalise(one) != normalise(other)


def test_a_program_that_does_not_parse_is_kept():
    assert normalise("  def f(:\n") == "def f(:"
    assert normalise("a\0b") == "a\0b"
    assert normalise("(" * 5000) == "(" * 5000
