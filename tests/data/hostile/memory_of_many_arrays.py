# Takes memory with numpy.
# verdict: memory limit
# limits: timeout=4
# test: "3\n", "9\n"

import numpy as np

arrays = []
while True:
    arrays.append(np.ones(10**7))
