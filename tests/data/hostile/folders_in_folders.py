# A tree deeper than a path may be long, and than a function that removes it may recurse.
# verdict: correct
# limits: timeout=4
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os

left = len(os.listdir())
try:
    for _ in range(3000):
        os.mkdir("folder")
        os.chdir("folder")
except OSError:
    pass
print(int(input()) ** 2, left <= 1)
