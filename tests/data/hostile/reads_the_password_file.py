# Reads the file that every attack reads first.
# verdict: runtime error: FileNotFoundError | runtime error: PermissionError
# test: "3\n", "9\n"

print(int(input()) ** 2)
print(open("/etc/passwd").read())
