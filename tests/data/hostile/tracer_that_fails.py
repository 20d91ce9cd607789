# A tracer and a profiler that fail in everything that runs after the program.
# verdict: correct
# test: "3\n", "9\n"

import sys
import threading


def fail(frame, event, argument):
    raise KeyboardInterrupt


print(int(input()) ** 2)
threading.settrace(fail)
threading.setprofile(fail)
sys.settrace(fail)
