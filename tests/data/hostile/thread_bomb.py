# Starts threads endlessly.
# verdict: runtime error: too many threads
# limits: timeout=4, memory_mb=4096
# test: "3\n", "9\n"

import threading
import time

threading.stack_size(1 << 16)
while True:
    threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()
