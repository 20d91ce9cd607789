# Overwrites its own file with another program for the next test.
# verdict: correct
# test: "3\n", "9\n"
# test: "4\n", "16\n"
# test: "5\n", "25\n"

import os
import sys

print(int(input()) ** 2)
cheat = "print(25)\n"
for path in {__file__, sys.argv[0], "program.py", os.path.join(os.getcwd(), "program.py")}:
    for attack in (
        lambda path: open(path, "w").write(cheat),
        lambda path: os.remove(path),
        lambda path: open(path, "w").write(cheat),
        lambda path: os.mkdir(path),
    ):
        try:
            attack(path)
        except OSError:
            pass
