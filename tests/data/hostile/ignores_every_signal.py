# Ignores SIGTERM, SIGALRM, SIGXCPU, every other signal that it can, and every exception.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import ctypes
import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
print(1, flush=True)
ctypes.CDLL(None).prctl(15, b"hostile")  # the name of the process
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
