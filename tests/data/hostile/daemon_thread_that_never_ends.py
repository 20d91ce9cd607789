# A daemon thread does not delay the end.
# verdict: correct
# test: "3\n", "9\n"

import threading
import time

threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()
print(int(input()) ** 2)
