# Sets an alarm, and the alarm ends it.
# verdict: runtime error: SIGALRM
# test: "3\n", "9\n"

import signal
import time

print(int(input()) ** 2, flush=True)
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(10)
