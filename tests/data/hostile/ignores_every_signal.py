# Ignores SIGTERM, SIGALRM, SIGXCPU, every other signal that it can, and every exception.
# verdict: time limit
# limits: timeout=0.25
# test: "", "1"

import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
print(1, flush=True)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
