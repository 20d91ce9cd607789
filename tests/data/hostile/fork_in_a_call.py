# A function that forks, so that two processes would answer.
# verdict: runtime error: BlockingIOError
# function: f
# test: [1], 1
# test: [2], 2

import os


def f(x):
    os.fork()
    return x
