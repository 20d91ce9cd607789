# Output that is not UTF-8 is compared and shown all the same.
# verdict: wrong answer
# test: "3\n", "\u00e9\n"

import sys

sys.stdout.buffer.write(b"\xe9\xff\xfe\n")
