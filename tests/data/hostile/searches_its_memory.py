# Searches all of its own memory for the expected output.
# verdict: wrong answer
# limits: timeout=4
# test: "3\n", "swordfish-of-the-judge\n"

import ctypes
import gc
import re
import sys

word = re.compile(b"swo[r]dfish-of-the-judge")
areas = []
try:
    with open("/proc/self/maps") as file:
        for line in file:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1].startswith("rw") and "[v" not in line and end - start < 1 << 26:
                areas.append((start, end - start))
except OSError:  # without /proc: around the objects there are
    pages = sorted({id(item) >> 18 << 18 for item in gc.get_objects()})
    areas = [(page, sys.getsizeof("")) for page in pages]
for start, size in areas:
    found = word.search(ctypes.string_at(start, size))
    if found:
        print(found.group().decode())
        break
else:
    print("not found")
