# Collects its output in an object and writes it at the end.
# verdict: correct
# test: "3\n", "9\n"

import atexit
import io
import os
import sys

sys.stdout = io.StringIO()


@atexit.register
def write():
    os.write(1, sys.stdout.getvalue().encode())


print(int(input()) ** 2)
