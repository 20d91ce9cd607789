# All the ways to exit that mean success.
# verdict: correct
# test: "exit", "exit"
# test: "quit", "quit"
# test: "sys", "sys"
# test: "none", "none"
# test: "zero", "zero"
# test: "false", "false"
# test: "os", "os"

import os
import sys

way = input()
print(way, flush=True)
try:
    {
        "exit": exit,
        "quit": lambda: quit(0),
        "sys": sys.exit,
        "none": lambda: sys.exit(None),
        "zero": lambda: sys.exit(0),
        "false": lambda: sys.exit(False),
        "os": lambda: os._exit(0),
    }[way]()
except ValueError:
    pass
