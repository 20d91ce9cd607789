# Seeds a generator and draws numbers.
# verdict: correct
# test: "3\n", "9 True\n"
# test: "3\n", "9 True\n"

import random
import secrets
import uuid

random.seed(1)
first = random.random()
random.seed(1)
print(int(input()) ** 2, first == random.random() and len({secrets.token_hex(8), uuid.uuid4().hex}) == 2)
