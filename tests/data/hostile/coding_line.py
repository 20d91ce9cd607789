# A coding line speaks of a file's bytes; there is only text here.
# verdict: correct
# test: "3\n", "9 \u00e9\u20ac\n"

# -*- coding: latin-1 -*-
print(int(input()) ** 2, "é€")
