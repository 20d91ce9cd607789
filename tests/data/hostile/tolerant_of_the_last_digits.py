# Decimal fractions may differ in the last digits; spaces and empty lines do not count.
# verdict: correct
# test: "3\n", "0.3333333 1e-3\nYes\n"

print(1 / int(input()), "\n\n", 0.001, "   Yes ")
