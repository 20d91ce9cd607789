# Nothing is left of Python's own names.
# verdict: correct
# test: "3\n", "9\n"

import builtins

print(int(input()) ** 2)
builtins.__dict__.clear()
