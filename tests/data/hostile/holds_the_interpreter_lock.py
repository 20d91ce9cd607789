# Sleeps in C without releasing the interpreter lock, so none of its other threads can run.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import ctypes

print(1, flush=True)
ctypes.PyDLL(None).sleep(10**6)
