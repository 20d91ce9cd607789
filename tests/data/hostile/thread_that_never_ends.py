# The main thread ends, another one does not; an interpreter waits for it.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import threading
import time

threading.Thread(target=time.sleep, args=(10**6,)).start()
print(1, flush=True)
