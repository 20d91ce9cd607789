# Deletes all of Python's built-in names.
# verdict: correct
# test: "3\n", "9\n"

import builtins

print(int(input()) ** 2)
builtins.__dict__.clear()
