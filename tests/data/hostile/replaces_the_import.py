# Disables imports and forgets all imported modules.
# verdict: correct
# test: "3\n", "9\n"

import builtins
import sys


def no_import(*args, **more):
    raise ImportError("no more")


print(int(input()) ** 2)
builtins.__import__ = no_import
sys.meta_path.clear()
sys.path_hooks.clear()
sys.path.clear()
sys.modules.clear()
