# An interpreter reports an exit handler's exception and still exits with status 0.
# verdict: correct
# test: "3\n", "9\n"

import atexit

atexit.register(lambda: 1 / 0)
print(int(input()) ** 2)
