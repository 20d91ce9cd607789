# A function that ends the program with status 0 returns nothing.
# verdict: runtime error: exit status 0
# function: f
# test: [1], 1

import os


def f(x):
    os._exit(0)
