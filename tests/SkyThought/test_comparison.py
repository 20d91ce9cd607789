"""The two rules of comparison, on answers worked out by hand."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SkyThought.comparison import format_value, has_real_number, same_text, same_value
from SkyThought.sandbox.report import tag

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def equals(expected, returned) -> bool:
    """Whether a judge that expects this JSON value accepts what a function returned, sent as a child sends it."""
    return same_value(json.loads(json.dumps(expected)), json.loads(json.dumps(tag(returned))))


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        (b"1 2\n3\n", b"1 2\n3"),
        (b"1 2 \n3\n", b" 1  2\r\n\r\n3 "),
        (b"", b"\n"),
        (b"0.5", b"0.50000099"),
        (b"1000000.0", b"1000000.9"),
        (b"1e3", b"1000"),
        (b"1e-05", b"0.00001"),
        (b"1.5e+16", b"15000000000000000"),
        (b"0.000000e+00", b"0"),
        (b"12.5E3", b"12500"),
        (b"-.5", b"-0.5"),
        ("é".encode(), "é".encode()),
    ],
)
def test_output_that_differs_in_white_space_or_within_the_tolerance_is_the_same(expected, output):
    assert same_text(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        (b"Yes", b"YES"),
        (b"1 2", b"2 1"),
        (b"1 2", b"1 2 3"),
        (b"1 2 3", b"1 2"),
        (b"12", b"1 2"),
        (b"3", b"3.0"),
        (b"3", b"3.0000001"),
        (b"0e1234", b"0e9999"),
        (b"0e12", b"0"),
        (b"12e5", b"1200000"),
        (b"00e1", b"0.0"),
        (b"1e1234", b"1e1235"),
        (b"1_0.5", b"10.5"),
        ("\u0663.5".encode(), b"3.5"),
        (b"0.5", b"5e0001"),
        (b"0.5", b"0.5000011"),
        (b"1000000.0", b"1000001.1"),
        (b"1e999", b"2e999"),
        (b"0.5", b"nan"),
        (b"0.5", b"0.5x"),
        (b"a", b"a\0"),
        (b"\xff", b"\xfe"),
        ("é".encode(), b"\xe9"),
    ],
)
def test_output_that_differs_in_a_token_is_another(expected, output):
    assert not same_text(expected, output)


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        (b"375", b"375.0", True),
        (b"375", b"375.", True),
        (b"375", b"3.75e+02", True),
        (b"375", b"374.99999999999994", True),
        (b"-2", b"-2.0", True),
        (b"10000000000000000", b"1e+16", True),
        (b"375", b"375.1", False),
        (b"9000000", b"9000001", False),
        (b"9000000", b"9000001.0", False),
        (b"9007199254740993", b"9007199254740992.0", False),
        (b"375", b"0375", False),
        (b"375", b"nan", False),
        (b"375", b"1e999999999", False),
        (b"YES", b"1.0", False),
    ],
)
def test_among_real_numbers_an_integer_may_be_answered_as_the_equal_decimal(expected, output, same):
    assert same_text(expected, output, real=True) is same
    assert not same_text(expected, output)


@given(st.integers(-(10**18), 10**18), st.integers(1, 9))
def test_no_other_integer_is_the_equal_decimal(number, difference):
    assert same_text(b"%d" % number, b"%d.000" % number, real=True)
    assert not same_text(b"%d" % number, b"%d.0" % (number + difference), real=True)


@pytest.mark.parametrize(
    ("expected", "real"),
    [
        (b"3.5", True), (b"1 2\n-.5\n", True), (b"1.5e-07", True), (b"3", False), (b"", False), (b"1e5", False),
        (b"1.2.3", False), (b"v1.2", False), (b"end.", False), (b"3.5%", False), (b".", False),
    ],
)  # fmt: skip
def test_a_number_with_a_point_shows_real_numbers(expected, real):
    assert has_real_number(expected) is real


@pytest.mark.parametrize(
    ("expected", "returned"),
    [
        ([1, [2, [3]]], (1, (2, (3,)))),
        ({"1": 2}, {1: 2}),
        ({"1": 2}, {"1": 2}),
        ({"true": None}, {True: None}),
        (0.5, 0.50000049),
        ([1e9], [1e9 + 500]),
        (2, 2.0),
        (1, True),
        (False, 0),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (10**4000, 10**4000),
    ],
)
def test_a_value_equals_what_json_can_say_of_it(expected, returned):
    assert equals(expected, returned)


@pytest.mark.parametrize(
    ("expected", "returned"),
    [
        ([1, 2], [2, 1]),
        ([1, 2], [1]),
        ([1], 1),
        ([], {}),
        (0.5, 0.500002),
        (1, 1.0000001),
        (1.5, 10**400),
        ("1", 1),
        (None, 0),
        ({"1": 2}, {1: 2, "1": 2}),
        ({"(1, 2)": 3}, {(1, 2): 3}),
        ([1, 2], {1, 2}),
        ([1], iter([1])),
        ([1], [object()]),
        ("b", b"b"),
    ],
)
def test_a_value_differs_from_what_json_says_of_another(expected, returned):
    assert not equals(expected, returned)


def test_of_subclasses_the_built_in_content_counts_and_not_what_they_say_of_themselves():
    import collections
    import enum

    import numpy

    class AlwaysEqual(list):
        def __eq__(self, other):
            return True

        def __iter__(self):
            return iter([1, 2])

    assert equals({"a": 2}, collections.Counter("aa"))
    assert equals([1, 2], collections.namedtuple("Point", "x y")(1, 2))
    assert equals(3, enum.IntEnum("Number", {"THREE": 3}).THREE)
    assert equals([2, 0.5, True], [numpy.int64(2), numpy.float64(0.5), numpy.bool_(True)])
    assert not equals([1, 2], AlwaysEqual([3]))
    assert equals([3], AlwaysEqual([3]))
    assert not equals([1, 2], numpy.array([1, 2]))
    assert not equals([1, 2], collections.deque([1, 2]))


@settings(max_examples=40)
@given(json_values)
def test_every_json_value_equals_itself(value):
    assert equals(value, value)


@given(json_values, json_values)
def test_values_without_floats_are_the_same_when_python_says_so(left, right):
    if not any(isinstance(part, float) for part in _parts([left, right])):
        assert equals(left, right) == (left == right)


def _parts(value):
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(part)


def test_a_value_is_shown_as_python_shows_it():
    assert format_value(tag({1: (2, [3.5]), "a": None})) == "{1: (2, [3.5]), 'a': None}"
    assert format_value(tag({1, 2})) == "<set object>"
