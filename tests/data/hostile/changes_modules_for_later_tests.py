# Leaves modules in its folder for the next test to import, and changes loaded modules.
# verdict: correct
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import math
import os
import sys

sound = not hasattr(math, "hacked") and math.isqrt(9) == 3 and not os.path.exists("heapq.py")
math.hacked = True
math.isqrt = lambda n: 0
for name in ("heapq", "json", "sitecustomize", "usercustomize", "encodings"):
    with open(f"{name}.py", "w") as file:
        file.write("print('hacked')\n")
import colorsys

sys.path.insert(0, os.getcwd())
print(int(input()) ** 2, sound)
