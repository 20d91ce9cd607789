# An unhandled signal ends the program.
# verdict: runtime error: SIGTERM
# test: "3\n", "9\n"

import signal

print(int(input()) ** 2, flush=True)
signal.raise_signal(signal.SIGTERM)
