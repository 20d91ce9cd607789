# Tries to replace itself with another program that would ignore the judge's limits.
# verdict: correct
# test: "3\n", "9 contained\n"

import os
import sys

with open("script", "w") as script:
    script.write(f"#!{sys.executable}\nprint('another')\n")
ways = [
    lambda: os.execv(sys.executable, [sys.executable, "-c", "print('another')"]),
    lambda: os.execv("/bin/sh", ["sh", "-c", "echo another"]),
    lambda: os.execve(os.open(sys.executable, os.O_RDONLY), [sys.executable, "-c", "print('another')"], {}),
    lambda: os.execv("script", ["script"]),
]
for way in ways:
    try:
        way()
    except OSError:
        continue
print(int(input()) ** 2, "contained")
