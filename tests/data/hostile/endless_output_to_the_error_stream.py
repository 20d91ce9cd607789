# Prints to the error stream forever; nobody reads it.
# verdict: time limit
# limits: timeout=0.15
# test: "3\n", "9\n"

import sys

print(int(input()) ** 2, flush=True)
while True:
    sys.stderr.write("x" * 10**5)
