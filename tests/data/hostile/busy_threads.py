# Several threads compute for ever: their CPU time is counted together.
# verdict: time limit
# limits: timeout=0.25
# test: "", "1"

import threading


def spin():
    while True:
        pass


for _ in range(8):
    threading.Thread(target=spin).start()
print(1, flush=True)
