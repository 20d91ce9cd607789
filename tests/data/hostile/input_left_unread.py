# Does not read its ten megabytes of input.
# verdict: correct
# test: "9\n" + "x" * 10_000_000, "9\n"

import sys

print(sys.stdin.readline())
sys.stdin.close()
