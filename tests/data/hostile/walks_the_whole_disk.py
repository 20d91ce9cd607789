# Reads the beginning of every file that it can reach outside Python and the libraries, in search of tests.
# verdict: correct
# limits: timeout=4
# test: "3\n", "9 contained\n"

import os
import sys

ours = tuple({sys.prefix, sys.base_prefix, os.getcwd(), "/usr", "/lib", "/lib64", "/proc", "/dev", "/sys"})
found = []
for parent, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.join(parent, name).startswith(ours)]
    for name in files:
        path = os.path.join(parent, name)
        try:
            with open(path, "rb") as file:
                text = file.read(10**4)
        except OSError:
            continue
        if b"input_output" in text or b"swordfish" in text or name.endswith(".jsonl"):
            found.append(path)
print(int(input()) ** 2, *found or ["contained"])
