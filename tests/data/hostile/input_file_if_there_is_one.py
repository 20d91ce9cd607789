# A common pattern: read a local file if it exists, else standard input.
# verdict: correct
# test: "3\n", "9\n"

import os.path
import sys

if os.path.exists("input.txt"):
    sys.stdin = open("input.txt")
    sys.stdout = open("output.txt", "w")
print(int(input()) ** 2)
