# Prints the answer when it ends.
# verdict: correct
# test: "3\n", "9\n"

import atexit
import sys

n = int(input())
atexit.register(lambda: print(n**2))
sys.exit()
