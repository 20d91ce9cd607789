# Uses newer syntax.
# verdict: correct
# test: "move 3\nstop\n", "3 end\n"

while (line := input()) is not None:
    match line.split():
        case ["move", n] if (far := int(n)) > 2:
            print(far, end=" ")
        case ["stop"]:
            print("end")
            break
