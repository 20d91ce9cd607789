# `sys.exit` in a thread ends only that thread.
# verdict: correct
# test: "3\n", "9\n"

import sys
import threading

thread = threading.Thread(target=sys.exit, args=(3,))
thread.start()
thread.join()
print(int(input()) ** 2)
