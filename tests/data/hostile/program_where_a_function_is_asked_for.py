# Reads and prints instead of defining the requested function.
# verdict: missing function
# function: f
# test: [1], 1

import sys

for line in sys.stdin:
    print(int(line))
