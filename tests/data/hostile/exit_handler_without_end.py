# An exit handler never ends.
# verdict: time limit
# limits: timeout=0.15
# test: "3\n", "9\n"

import atexit


@atexit.register
def loop():
    while True:
        pass


print(int(input()) ** 2, flush=True)
