# Exits with status 0 in the middle of its answer.
# verdict: wrong answer
# test: "3\n", "3\n9\n"

import os

n = int(input())
print(n, flush=True)
os._exit(0)
print(n**2)
