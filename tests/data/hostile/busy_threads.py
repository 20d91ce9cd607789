# Several threads compute forever; their CPU time counts together.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import threading


def spin():
    while True:
        pass


for _ in range(8):
    threading.Thread(target=spin).start()
print(1, flush=True)
