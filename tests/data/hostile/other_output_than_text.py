# Prints the right answer by binary writes below Python's text layer, byte by byte.
# verdict: correct
# test: "300\n", f"{3 ** 300}\n"

import os

for byte in str(3 ** int(input())).encode():
    os.write(1, bytes([byte]))
