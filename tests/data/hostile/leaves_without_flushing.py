# What is not flushed is lost in `os._exit`.
# verdict: wrong answer
# test: "3\n", "9\n"

import os

print(int(input()) ** 2)
os._exit(0)
