# Never ends.
# verdict: time limit
# limits: timeout=0.25
# test: "", "1"

while True:
    pass
