# Swallows every exception, including its own exit.
# verdict: correct
# test: "3\n", "9\n"

try:
    print(int(input()) ** 2)
    exit()
except BaseException:
    pass
