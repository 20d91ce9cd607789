# Gives itself a name that confuses readers of /proc.
# verdict: time limit
# limits: timeout=0.15
# test: "3\n", "9\n"

import ctypes

ctypes.CDLL(None).prctl(15, b") R 1 1 1\n) Z 0", 0, 0, 0)
print(int(input()) ** 2, flush=True)
while True:
    pass
