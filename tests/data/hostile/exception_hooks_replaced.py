# Hides its exception from Python's own report.
# verdict: runtime error: ZeroDivisionError
# test: "3\n", "9\n"

import sys
import threading
import traceback

sys.excepthook = threading.excepthook = sys.unraisablehook = lambda *args: None
traceback.print_exc = traceback.format_exc = None
print(int(input()) ** 2)
1 / 0
