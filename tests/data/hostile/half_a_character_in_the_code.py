# Half of a surrogate pair in the code, which no UTF-8 file can store.
# verdict: syntax error
# program: text.replace("HALF", "\ud800")
# test: "3\n", "9\n"

print(int(input()) ** 2, "HALF"[:0])
