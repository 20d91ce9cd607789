# Reads successive lines by different means, unbuffered, so that each leaves the rest to the next.
# verdict: correct
# test: "1\n2\n3\n4\n5\n", "1 2 3 4 5\n"

import os


def line(read):
    data = b""
    while not data.endswith(b"\n"):
        data += read()
    return data.decode().strip()


first = line(lambda: os.read(0, 1))
with open(0, "rb", 0, closefd=False) as file:
    second = line(lambda: file.read(1))
with os.fdopen(os.dup(0), "rb", 0) as file:
    third = line(lambda: file.read(1))
print(first, second, third, input(), input())
