# Keeps objects whose destructors never return.
# verdict: correct
# function: f
# test: [1], 1
# test: [2], 2

import gc


class Late:
    def __del__(self):
        while True:
            pass


kept = Late()
loop = [Late()]
loop.append(loop)


def f(x):
    gc.disable()
    return x
