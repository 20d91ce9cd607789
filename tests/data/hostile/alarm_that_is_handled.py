# A common pattern: search until an alarm signals that time is up, then print the best result so far.
# verdict: correct
# test: "3\n", "9\n"

import signal


class TimeIsUp(Exception):
    pass


def stop(number, frame):
    raise TimeIsUp


signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.05)
best = int(input()) ** 2
try:
    while True:
        pass
except TimeIsUp:
    print(best)
