# Forks endlessly; the first fork is refused.
# verdict: runtime error: BlockingIOError
# test: "3\n", "9\n"

import os

while True:
    os.fork()
