# Prints a wrong answer and writes noise to all other descriptors.
# verdict: wrong answer
# test: "3\n", "9\n"

import os

print(8, flush=True)
for fd in range(3, 1024):
    try:
        os.set_blocking(fd, False)
        os.write(fd, b"\0\xff garbage {[" + b"[" * 1000 + b"\n")
    except OSError:
        pass
