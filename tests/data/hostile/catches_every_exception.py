# Swallows whatever is raised, its own exit included.
# verdict: correct
# test: "3\n", "9\n"

try:
    print(int(input()) ** 2)
    exit()
except BaseException:
    pass
