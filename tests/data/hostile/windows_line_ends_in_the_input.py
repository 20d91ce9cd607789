# The program never sees a carriage return.
# verdict: correct
# test: "a\r\nb\r\n", "a b\n"

first, second = input(), input()
print(first, second if len(second) == 1 else repr(second))
