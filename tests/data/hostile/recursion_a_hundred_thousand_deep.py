# A deep search as competitive programmers write it: no recursion limit, a thread with a big stack.
# verdict: correct
# limits: timeout=4, memory_mb=4096
# test: "100000\n", "100000\n"

import sys
import threading

sys.setrecursionlimit(10**6)
threading.stack_size(2**28)


def f(n):
    return n and 1 + f(n - 1)


thread = threading.Thread(target=lambda: print(f(int(input()))))
thread.start()
thread.join()
