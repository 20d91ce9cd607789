# Prints half of a surrogate pair, which Python cannot encode.
# verdict: wrong answer
# test: "3\n", "\u00e9\n"

print("\udce9")
