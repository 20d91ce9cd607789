# Nested folders with short names: a path can name more levels than a function can recurse.
# verdict: correct
# limits: timeout=4
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os
import time

left = len(os.listdir())
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
time.sleep(0.2)
print(int(input()) ** 2, left <= 1)
