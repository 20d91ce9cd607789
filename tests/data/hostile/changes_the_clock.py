# Tries to set the machine's clock and name.
# verdict: correct
# test: "3\n", "9 contained\n"

import socket
import time

done = []
for name, change in {
    "clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "name": lambda: socket.sethostname(socket.gethostname()),
}.items():
    try:
        change()
        done.append(name)
    except OSError:
        pass
print(int(input()) ** 2, *done or ["contained"])
