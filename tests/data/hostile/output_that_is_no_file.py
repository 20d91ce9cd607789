# Removes its standard streams after the answer.
# verdict: correct
# test: "3\n", "9\n"

import sys


class Nothing:
    closed = False

    def __getattr__(self, name):
        raise OSError(name)


print(int(input()) ** 2, flush=True)
sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
del sys.stdin
