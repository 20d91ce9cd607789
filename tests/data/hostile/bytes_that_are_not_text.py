# Prints bytes that are not UTF-8; they are still compared and shown.
# verdict: wrong answer
# test: "3\n", "\u00e9\n"

import sys

sys.stdout.buffer.write(b"\xe9\xff\xfe\n")
