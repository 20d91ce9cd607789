# Sends itself SIGINT, as Ctrl-C does.
# verdict: runtime error: KeyboardInterrupt
# test: "3\n", "9\n"

import _thread
import time

print(int(input()) ** 2, flush=True)
_thread.interrupt_main()
time.sleep(1)
