"""What the lab's problems are made of: sources of items, filters, maps and reductions, each in words and in Python.

A problem is a pipeline: the items of a source, one to three filters or maps, a reduction. Types keep pipelines
sensible: "int", "char", "word", and "CHAR", "WORD" for upper-case text, on which no further filter is asked.
Each piece says itself in several wordings (`says`, for statements) and is thought of in several (`thinks`); the first
of each is the plain one, the only one that the instruct corpus uses. `{k}` is the parameter, a number or a letter,
`x` the item and `b` the list of items in code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SMALL = tuple(range(2, 10))
WIDER = tuple(range(2, 16))
LETTERS = tuple("abdeilmnorst")
VOWELS = "aeiou"


@dataclass(frozen=True)
class Step:
    """A filter (`gives` is "") or a map from items of one type to items of another."""

    name: str
    takes: str
    gives: str
    code: str
    run: Callable[[Any, Any], Any]
    says: tuple[str, ...]
    thinks: tuple[str, ...]
    parameters: tuple = (None,)
    signed: bool = False  # makes sense only where items can be negative


@dataclass(frozen=True)
class Reduction:
    """What is asked of the items that are left. `codes`: ways to write it, each (lines before, expression)."""

    name: str
    takes: tuple[str, ...]
    codes: tuple[tuple[tuple[str, ...], str], ...]
    run: Callable[[list], Any]
    says: tuple[str, ...]
    thinks: tuple[str, ...]
    empty: str = ""  # the answer when nothing is left, where the statement has to say it
    gives: str = "integer"  # "integer", "string" or "numbers"


@dataclass(frozen=True)
class Source:
    """Where the items come from. `reads`: ways to read it and make the list `a`, as lines of code."""

    name: str
    gives: str
    reads: tuple[tuple[str, ...], ...]
    arguments: str
    makes: tuple[str, ...]
    run: Callable[..., list]
    says: tuple[str, ...]
    given: tuple[str, ...]
    thinks: tuple[str, ...]
    layout: str
    noun: str


def digit_sum(x: int) -> int:
    return sum(int(digit) for digit in str(abs(x)))


def is_prime(x: int) -> bool:
    return x > 1 and all(x % d for d in range(2, x))


FILTERS = (
    Step(
        "multiple",
        "int",
        "",
        "x % {k} == 0",
        lambda x, k: x % k == 0,
        ("that are divisible by {k}", "that are multiples of {k}", "that {k} divides evenly"),
        ("divisible by {k}", "multiples of {k}"),
        SMALL,
    ),
    Step(
        "not_multiple",
        "int",
        "",
        "x % {k} != 0",
        lambda x, k: x % k != 0,
        ("that are not divisible by {k}", "that are not multiples of {k}", "that {k} does not divide"),
        ("not divisible by {k}", "no multiples of {k}"),
        SMALL,
    ),
    Step(
        "remainder",
        "int",
        "",
        "x % {k} == 1",
        lambda x, k: x % k == 1,
        ("that leave remainder 1 when divided by {k}", "that are one more than a multiple of {k}"),
        ("with remainder 1 by {k}", "one more than a multiple of {k}"),
        SMALL[1:],
    ),
    Step(
        "greater",
        "int",
        "",
        "x > {k}",
        lambda x, k: x > k,
        ("that are greater than {k}", "that are above {k}", "larger than {k}"),
        ("greater than {k}", "above {k}"),
        WIDER,
    ),
    Step(
        "less",
        "int",
        "",
        "x < {k}",
        lambda x, k: x < k,
        ("that are less than {k}", "that are below {k}", "smaller than {k}"),
        ("less than {k}", "below {k}"),
        WIDER[1:],
    ),
    Step(
        "even",
        "int",
        "",
        "x % 2 == 0",
        lambda x, k: x % 2 == 0,
        ("that are even", "with an even value"),
        ("even", "even ones"),
    ),
    Step(
        "odd",
        "int",
        "",
        "x % 2 == 1",
        lambda x, k: x % 2 == 1,
        ("that are odd", "with an odd value"),
        ("odd", "odd ones"),
    ),
    Step(
        "positive",
        "int",
        "",
        "x > 0",
        lambda x, k: x > 0,
        ("that are positive", "above zero"),
        ("positive", "above 0"),
        signed=True,
    ),
    Step(
        "negative",
        "int",
        "",
        "x < 0",
        lambda x, k: x < 0,
        ("that are negative", "below zero"),
        ("negative", "below 0"),
        signed=True,
    ),
    Step(
        "ending",
        "int",
        "",
        "abs(x) % 10 == {k}",
        lambda x, k: abs(x) % 10 == k,
        ("whose last digit is {k}", "that end in {k}", "ending with the digit {k}"),
        ("with last digit {k}", "ending in {k}"),
        SMALL,
    ),
    Step(
        "has_digit",
        "int",
        "",
        "'{k}' in str(x)",
        lambda x, k: str(k) in str(x),
        ("that contain the digit {k}", "written with a {k} somewhere"),
        ("with a digit {k}", "with {k} in the text"),
        SMALL,
    ),
    Step(
        "far",
        "int",
        "",
        "abs(x) > {k}",
        lambda x, k: abs(x) > k,
        ("whose absolute value is greater than {k}", "more than {k} away from zero"),
        ("with absolute value above {k}", "far from 0 by {k}"),
        WIDER,
        signed=True,
    ),
    Step(
        "prime",
        "int",
        "",
        "x > 1 and all(x % d for d in range(2, x))",
        lambda x, k: is_prime(x),
        ("that are prime", "that are prime numbers"),
        ("prime", "primes"),
    ),
    Step(
        "vowel",
        "char",
        "",
        "x in 'aeiou'",
        lambda x, k: x in VOWELS,
        ("that are vowels", "from the set a, e, i, o, u"),
        ("vowels", "among aeiou"),
    ),
    Step(
        "consonant",
        "char",
        "",
        "x not in 'aeiou'",
        lambda x, k: x not in VOWELS,
        ("that are consonants", "that are not vowels"),
        ("consonants", "not in aeiou"),
    ),
    Step(
        "after",
        "char",
        "",
        "x > '{k}'",
        lambda x, k: x > k,
        ("that come after {k} in the alphabet", "later than {k} in the alphabet"),
        ("after {k}", "later than {k}"),
        LETTERS[:-2],
    ),
    Step(
        "before",
        "char",
        "",
        "x < '{k}'",
        lambda x, k: x < k,
        ("that come before {k} in the alphabet", "earlier than {k} in the alphabet"),
        ("before {k}", "earlier than {k}"),
        LETTERS[3:],
    ),
    Step(
        "other",
        "char",
        "",
        "x != '{k}'",
        lambda x, k: x != k,
        ("that are not {k}", "different from {k}"),
        ("not {k}", "other than {k}"),
        LETTERS,
    ),
    Step(
        "longer",
        "word",
        "",
        "len(x) > {k}",
        lambda x, k: len(x) > k,
        ("that are longer than {k} letters", "with more than {k} letters"),
        ("longer than {k}", "with length above {k}"),
        (2, 3, 4, 5),
    ),
    Step(
        "shorter",
        "word",
        "",
        "len(x) < {k}",
        lambda x, k: len(x) < k,
        ("that are shorter than {k} letters", "with fewer than {k} letters"),
        ("shorter than {k}", "with length below {k}"),
        (4, 5, 6),
    ),
    Step(
        "starts_vowel",
        "word",
        "",
        "x[0] in 'aeiou'",
        lambda x, k: x[0] in VOWELS,
        ("that start with a vowel", "whose first letter is a vowel"),
        ("starting with a vowel", "with a vowel in front"),
    ),
    Step(
        "contains",
        "word",
        "",
        "'{k}' in x",
        lambda x, k: k in x,
        ("that contain the letter {k}", "with at least one {k} in them"),
        ("containing {k}", "with {k} inside"),
        LETTERS,
    ),
    Step(
        "lacks",
        "word",
        "",
        "'{k}' not in x",
        lambda x, k: k not in x,
        ("that do not contain the letter {k}", "without any {k} in them"),
        ("without {k}", "lacking {k}"),
        LETTERS,
    ),
    Step(
        "ends",
        "word",
        "",
        "x[-1] == '{k}'",
        lambda x, k: x[-1] == k,
        ("that end with the letter {k}", "whose last letter is {k}"),
        ("ending with {k}", "with last letter {k}"),
        LETTERS,
    ),
    Step(
        "palindrome",
        "word",
        "",
        "x == x[::-1]",
        lambda x, k: x == x[::-1],
        ("that are palindromes", "that read the same backwards"),
        ("palindromes", "same when reversed"),
    ),
)

MAPS = (
    Step(
        "add",
        "int",
        "int",
        "x + {k}",
        lambda x, k: x + k,
        ("add {k} to each number", "increase every number by {k}"),
        ("add {k}", "plus {k}"),
        WIDER,
    ),
    Step(
        "subtract",
        "int",
        "int",
        "x - {k}",
        lambda x, k: x - k,
        ("subtract {k} from each number", "decrease every number by {k}"),
        ("subtract {k}", "minus {k}"),
        WIDER,
    ),
    Step(
        "times",
        "int",
        "int",
        "x * {k}",
        lambda x, k: x * k,
        ("multiply each number by {k}", "make every number {k} times as large"),
        ("multiply by {k}", "times {k}"),
        SMALL,
    ),
    Step(
        "square",
        "int",
        "int",
        "x * x",
        lambda x, k: x * x,
        ("square each number", "replace every number by its square"),
        ("square", "take x times x"),
    ),
    Step(
        "cube",
        "int",
        "int",
        "x ** 3",
        lambda x, k: x**3,
        ("cube each number", "replace every number by its third power"),
        ("cube", "third power"),
    ),
    Step(
        "absolute",
        "int",
        "int",
        "abs(x)",
        lambda x, k: abs(x),
        ("replace each number by its absolute value", "drop the sign of every number"),
        ("absolute value", "without sign"),
        signed=True,
    ),
    Step(
        "negate",
        "int",
        "int",
        "-x",
        lambda x, k: -x,
        ("negate each number", "flip the sign of every number"),
        ("negate", "flip the sign"),
        signed=True,
    ),
    Step(
        "modulo",
        "int",
        "int",
        "x % {k}",
        lambda x, k: x % k,
        ("replace each number by its remainder modulo {k}", "take every number modulo {k}"),
        ("modulo {k}", "remainder by {k}"),
        SMALL[1:],
    ),
    Step(
        "divide",
        "int",
        "int",
        "x // {k}",
        lambda x, k: x // k,
        ("divide each number by {k}, rounding down", "replace every number by its quotient by {k}, rounded down"),
        ("divide by {k}", "floor of x by {k}"),
        SMALL[:5],
    ),
    Step(
        "digit_sum",
        "int",
        "int",
        "sum(map(int, str(abs(x))))",
        lambda x, k: digit_sum(x),
        ("replace each number by the sum of its digits", "turn every number into its digit sum"),
        ("sum of digits", "digit sum"),
    ),
    Step(
        "last_digit",
        "int",
        "int",
        "abs(x) % 10",
        lambda x, k: abs(x) % 10,
        ("replace each number by its last digit", "keep only the last digit of every number"),
        ("last digit", "final digit"),
    ),
    Step(
        "floor",
        "int",
        "int",
        "max(x, {k})",
        lambda x, k: max(x, k),
        ("raise each number below {k} to {k}", "replace every number smaller than {k} by {k}"),
        ("at least {k}", "raise to {k}"),
        SMALL,
    ),
    Step(
        "cap",
        "int",
        "int",
        "min(x, {k})",
        lambda x, k: min(x, k),
        ("lower each number above {k} to {k}", "replace every number larger than {k} by {k}"),
        ("at most {k}", "cap at {k}"),
        SMALL,
    ),
    Step(
        "distance",
        "int",
        "int",
        "abs(x - {k})",
        lambda x, k: abs(x - k),
        ("replace each number by its distance to {k}", "measure how far every number is from {k}"),
        ("distance to {k}", "gap to {k}"),
        WIDER,
    ),
    Step(
        "position",
        "char",
        "int",
        "ord(x) - 96",
        lambda x, k: ord(x) - 96,
        (
            "replace each letter by its position in the alphabet (a is 1)",
            "turn every letter into its number in the alphabet, a being 1",
        ),
        ("position in the alphabet", "letter number"),
    ),
    Step(
        "upper",
        "char",
        "CHAR",
        "x.upper()",
        lambda x, k: x.upper(),
        ("write each letter in upper case", "capitalize every letter"),
        ("upper case", "capital letter"),
    ),
    Step(
        "next",
        "char",
        "char",
        "chr((ord(x) - 96) % 26 + 97)",
        lambda x, k: chr((ord(x) - 96) % 26 + 97),
        (
            "replace each letter by the next one in the alphabet (z becomes a)",
            "shift every letter one place forward, z to a",
        ),
        ("next letter", "shift by one"),
    ),
    Step(
        "reverse",
        "word",
        "word",
        "x[::-1]",
        lambda x, k: x[::-1],
        ("reverse each word", "write every word backwards"),
        ("reverse", "backwards"),
    ),
    Step(
        "upper_word",
        "word",
        "WORD",
        "x.upper()",
        lambda x, k: x.upper(),
        ("write each word in upper case", "capitalize all letters of every word"),
        ("upper case", "all capitals"),
    ),
    Step(
        "length",
        "word",
        "int",
        "len(x)",
        lambda x, k: len(x),
        ("replace each word by its length", "turn every word into its number of letters"),
        ("length", "number of letters"),
    ),
    Step(
        "first_letter",
        "word",
        "char",
        "x[0]",
        lambda x, k: x[0],
        ("replace each word by its first letter", "keep only the first letter of every word"),
        ("first letter", "initial"),
    ),
    Step(
        "last_letter",
        "word",
        "char",
        "x[-1]",
        lambda x, k: x[-1],
        ("replace each word by its last letter", "keep only the last letter of every word"),
        ("last letter", "final letter"),
    ),
    Step(
        "vowel_count",
        "word",
        "int",
        "sum(c in 'aeiou' for c in x)",
        lambda x, k: sum(c in VOWELS for c in x),
        ("replace each word by its number of vowels", "count the vowels of every word"),
        ("number of vowels", "vowel count"),
    ),
)
