# What a function prints, reads and writes to the error stream does not count.
# verdict: correct
# function: f
# test: [1], 1
# test: [2], 2

import sys


def f(x):
    print("x" * 10**6)
    print("debug", file=sys.stderr)
    try:
        input()
    except EOFError:
        return x


if __name__ == "__main__":
    raise SystemExit(1)
