# Fills the disk in every test; its share is small and empty again for each test.
# verdict: correct | output limit
# limits: timeout=4
# test: "3\n", "9 contained\n"
# test: "4\n", "16 contained\n"

written = 0
piece = bytes(1 << 20)
try:
    for number in range(40):
        with open(f"file{number}", "wb", 0) as file:
            for _ in range(10):
                written += file.write(piece)
except OSError:
    pass
print(int(input()) ** 2, "contained" if 32 << 20 < written <= 64 << 20 else f"{written >> 20} MiB")
