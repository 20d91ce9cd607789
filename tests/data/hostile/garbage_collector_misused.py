# Freezes, disables and hooks the garbage collector, and replaces it.
# verdict: correct
# test: "3\n", "9\n"

import gc

print(int(input()) ** 2)
gc.freeze()
gc.set_threshold(1)
gc.callbacks.append(lambda *args: 1 / 0)
gc.get_objects = lambda *args: 1 / 0
