# Debugging output: a megabyte on the error stream is not part of the answer.
# verdict: correct
# test: "3\n", "9\n"

import sys

print("debug" * 200_000, file=sys.stderr)
print(int(input()) ** 2)
