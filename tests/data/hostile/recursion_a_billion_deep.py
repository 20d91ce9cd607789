# Lifts the recursion limit and recurses until its memory is used up.
# verdict: memory limit | runtime error: SystemError
# limits: timeout=4, memory_mb=192
# test: "3\n", "9\n"

import sys

sys.setrecursionlimit(10**9)


def f(n):
    return f(n + 1) + 1


print(f(0))
