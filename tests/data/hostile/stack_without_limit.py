# A common pattern: set the stack limit to infinity before a deep recursion.
# verdict: correct
# test: "50000\n", "50000\n"

import resource
import sys

resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sys.setrecursionlimit(10**6)


def f(n):
    return n and 1 + f(n - 1)


print(f(int(input())))
