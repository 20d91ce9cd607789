# Redirects its output to a file and back.
# verdict: correct
# test: "3\n", "9\n"

import contextlib
import io
import os
import sys

with contextlib.redirect_stdout(io.StringIO()) as kept:
    print(int(input()) ** 2)
saved = os.dup(1)
with open("file", "w+") as file:
    os.dup2(file.fileno(), 1)
    os.write(1, kept.getvalue().encode())
    os.dup2(saved, 1)
    file.seek(0)
    sys.stdout.write(file.read())
