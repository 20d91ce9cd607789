# Looks for memory that it shares with its parent, writes to it, and looks again in the next test.
# verdict: correct
# test: "1\n", "1 found nothing\n"
# test: "2\n", "2 found nothing\n"

import ctypes
import gc
import mmap

WORD = b"left_by_a_" + b"hostile_program"
found = []
for item in gc.get_objects():
    if isinstance(item, mmap.mmap):
        try:
            found += ["an object"] * (item[: len(WORD)] == WORD)
            item[: len(WORD)] = WORD
        except (ValueError, TypeError):
            pass
try:
    with open("/proc/self/maps") as file:
        maps = file.read().splitlines()
except OSError:
    maps = []
for line in maps:
    fields = line.split()
    if fields[1] == "rw-s":
        start = int(fields[0].split("-")[0], 16)
        found += ["a mapping"] * (ctypes.string_at(start, len(WORD)) == WORD)
        ctypes.memmove(start, WORD, len(WORD))
print(input(), "found", *found or ["nothing"])
