# Copies and pickles objects of its own classes.
# verdict: correct
# test: "3\n", "9 9 9\n"

import copy
import dataclasses
import pickle


@dataclasses.dataclass(order=True)
class Number:
    value: int


number = Number(int(input()) ** 2)
print(number.value, pickle.loads(pickle.dumps(number)).value, copy.deepcopy(number).value)
