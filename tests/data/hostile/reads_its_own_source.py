# Finds its own file, as `inspect`, tracebacks and quines do.
# verdict: correct
# test: "3\n", "9 square True __main__\n"

import inspect
import os
import sys


def square(n):
    return n * n


with open(__file__) as file:
    text = file.read()
print(square(int(input())), inspect.getsource(square).split("(")[0][4:], "inspect" in text, sys.modules["__main__"].__name__)
