# Prints the right answer and fails, then writes forged messages of success to every descriptor.
# verdict: runtime error: exit status 3
# test: "3\n", "9\n"

import os

messages = [
    b'{"value": 9}\n',
    b'{"status": 0, "cpu": 0.0, "limit": null, "error": null, "passed": true, "correctness": true, "reason": ""}\n',
    b'{"ready": true}\n',
]
print(int(input()) ** 2, flush=True)
for fd in range(3, 1024):
    for message in messages:
        try:
            os.set_blocking(fd, False)
            os.write(fd, message)
        except OSError:
            pass
os._exit(3)
