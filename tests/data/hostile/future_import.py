# A `__future__` import comes first.
# verdict: correct
# test: "3\n", "9\n"

"""Squares."""
from __future__ import annotations


def square(n: NotDefinedAnywhere) -> NeitherIsThis:
    return n * n


print(square(int(input())))
