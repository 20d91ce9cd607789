# Closes standard input and output with Python's methods when it is done.
# verdict: correct
# test: "3\n", "9\n"

import sys

print(int(input()) ** 2)
sys.stdin.close()
sys.stdout.close()
