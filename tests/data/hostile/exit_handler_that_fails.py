# An interpreter tells of an exit handler's exception and ends well all the same.
# verdict: correct
# test: "3\n", "9\n"

import atexit

atexit.register(lambda: 1 / 0)
print(int(input()) ** 2)
