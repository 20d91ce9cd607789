# Breaks the code that waits for threads at the end.
# verdict: correct
# test: "3\n", "9\n"

import threading

print(int(input()) ** 2)
threading._shutdown = threading._main_thread = threading.main_thread = threading.Thread = None
threading._shutdown_locks = None
