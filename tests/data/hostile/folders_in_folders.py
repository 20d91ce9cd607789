# A tree deeper than a path can be long, and deeper than a recursive removal can go.
# verdict: correct
# limits: timeout=4
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os

left = len(os.listdir())
try:
    for _ in range(1500):
        os.mkdir("folder")
        os.chdir("folder")
except OSError:
    pass
print(int(input()) ** 2, left <= 1)
