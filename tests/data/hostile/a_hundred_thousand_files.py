# Creates more names than a cleanup likes to remove. All are removed afterwards, or the system refused them.
# verdict: correct | output limit
# limits: timeout=4
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os

left = len(os.listdir())
try:
    for number in range(20_000):
        os.mkdir(f"folder{number}")
except OSError:
    pass
print(int(input()) ** 2, left <= 1)
