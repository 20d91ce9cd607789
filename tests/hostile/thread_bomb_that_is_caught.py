# Starts threads until it may not, then answers: there were at most 256.
# verdict: correct
# test: "3\n", "9 True\n"

import threading
import time

threading.stack_size(1 << 16)
number = 1
try:
    while number < 20000:
        threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()
        number += 1
except RuntimeError:
    pass
print(int(input()) ** 2, number <= 256)
