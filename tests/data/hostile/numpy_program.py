# Reads with numpy and computes with matrices.
# verdict: correct
# limits: timeout=4
# test: "2\n1 2\n3 4\n", "[[7, 10], [15, 22]]\n"

import sys

import numpy as np

n = int(input())
matrix = np.loadtxt(sys.stdin, dtype=np.int64, max_rows=n)
print((matrix @ matrix).tolist())
