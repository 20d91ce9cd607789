# Returns lists nested deeper than any recursive function can go.
# verdict: runtime error: RecursionError | runtime error: SIGSEGV | memory limit | time limit
# limits: timeout=1
# function: f
# test: [3], [3]

import sys

sys.setrecursionlimit(10**9)


def f(n):
    value = []
    for _ in range(10**6):
        value = [value]
    return value
