# `os._exit` loses output that was not flushed.
# verdict: wrong answer
# test: "3\n", "9\n"

import os

print(int(input()) ** 2)
os._exit(0)
