# A daemon thread tries to write after the end.
# verdict: correct
# test: "3\n", "9\n"
# test: "4\n", "16\n"

import os
import threading
import time


def late():
    time.sleep(0.3)
    os.write(1, b"late\n")


threading.Thread(target=late, daemon=True).start()
print(int(input()) ** 2)
