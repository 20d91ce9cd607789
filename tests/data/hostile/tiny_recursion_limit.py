# Lowers the recursion limit until hardly any depth is left for later code.
# verdict: correct
# test: "3\n", "9\n"

import sys

print(int(input()) ** 2)
for limit in range(1, 200):
    try:
        sys.setrecursionlimit(limit)
        break
    except RecursionError:
        continue
