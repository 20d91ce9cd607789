# A coding line describes a file's bytes, but the program is text, so it has no effect.
# verdict: correct
# test: "3\n", "9 \u00e9\u20ac\n"

# -*- coding: latin-1 -*-
print(int(input()) ** 2, "é€")
