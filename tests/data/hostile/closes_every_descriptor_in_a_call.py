# A function that closes every descriptor cannot return anything.
# verdict: runtime error: exit status 1
# function: f
# test: [1], 1

import os


def f(x):
    os.closerange(0, 65536)
    return x
