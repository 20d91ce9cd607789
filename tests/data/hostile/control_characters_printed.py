# Prints terminal escapes, carriage returns and form feeds; those that are white space count as white space.
# verdict: correct
# test: "3\n", "9 8\n"

print("\r\n\t 9\f\v\r8")
