# An import from the future stands first.
# verdict: correct
# test: "3\n", "9\n"

"""Squares."""
from __future__ import annotations


def square(n: NotDefinedAnywhere) -> NeitherIsThis:
    return n * n


print(square(int(input())))
