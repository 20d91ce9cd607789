# Prints the right answer, then exits with a bad status.
# verdict: runtime error: exit status 3
# test: "3\n", "9\n"

import sys

print(int(input()) ** 2)
sys.exit(3)
