# Exits with status 0 in an exit handler after a failure; it still failed.
# verdict: runtime error: ZeroDivisionError
# test: "3\n", "9\n"

import atexit
import os

atexit.register(os._exit, 0)
print(int(input()) ** 2, flush=True)
1 / 0
