# The same search inside a function.
# verdict: wrong answer
# function: f
# test: [3], "swordfish-of-the-judge"

import gc
import re


def f(x):
    word = re.compile("s[w]ordfish-of-the-judge")
    for item in gc.get_objects():
        for part in gc.get_referents(item):
            if isinstance(part, str) and word.fullmatch(part):
                return part
    return "not found"
