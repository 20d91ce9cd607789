# `os._exit` in a thread ends the program.
# verdict: runtime error: exit status 3
# test: "3\n", "9\n"

import os
import threading
import time

print(int(input()) ** 2, flush=True)
threading.Thread(target=os._exit, args=(3,)).start()
time.sleep(1)
