# Sleeps in C without giving the interpreter's lock away: no other thread of it ever runs.
# verdict: time limit
# limits: timeout=0.25
# test: "", "1"

import ctypes

print(1, flush=True)
ctypes.PyDLL(None).sleep(10**6)
