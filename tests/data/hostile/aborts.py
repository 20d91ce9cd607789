# Aborts after the right answer.
# verdict: runtime error: SIGABRT
# test: "3\n", "9\n"

import os

print(int(input()) ** 2, flush=True)
os.abort()
