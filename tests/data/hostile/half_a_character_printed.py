# Half of a surrogate pair, which Python prints as no text.
# verdict: wrong answer
# test: "3\n", "\u00e9\n"

print("\udce9")
