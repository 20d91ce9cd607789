# Takes no CPU time.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import time

print(1)
time.sleep(10**6)
