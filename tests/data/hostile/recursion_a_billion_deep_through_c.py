# The same through C code, which uses up the stack.
# verdict: runtime error: SIGSEGV | memory limit | runtime error: SystemError
# limits: timeout=4, memory_mb=192
# test: "3\n", "9\n"

import functools
import sys

sys.setrecursionlimit(10**9)


@functools.lru_cache(None)
def f(n):
    return f(n + 1) + 1


print(f(0))
