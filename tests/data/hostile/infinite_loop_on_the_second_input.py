# Right in the first test, endless in the second.
# verdict: time limit
# limits: timeout=0.15
# test: "1", "1"
# test: "2", "2"

n = int(input())
print(n)
while n == 2:
    pass
