# Detaches the layers of its output, as fast readers and writers do.
# verdict: correct
# test: "3\n", "9 16\n"

import io
import sys

binary = sys.stdout.detach()
sys.stdout = first = io.TextIOWrapper(binary, "ascii", write_through=False)
print(int(input()) ** 2)
other = io.BytesIO()
sys.stdout = type("Out", (), {"write": lambda self, text: other.write(text.encode()), "flush": lambda self: None})()
print(16)
first.flush()
binary.write(b"")
sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False))
sys.stdout.write(other.getvalue().decode())
