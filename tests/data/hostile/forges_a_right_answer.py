# Prints a wrong answer and forges every message that might make it right: plain, tagged, with length prefixes.
# verdict: wrong answer
# test: "3\n", "9\n"

import os
import socket
import struct

print(8, flush=True)
result = struct.pack("<idcI", 0, 0.001, b"-", 0)
messages = [b'{"value": 9}\n', b'{"passed": true}\n', b"9\n", b"R" + result + b"9\n", b"iR" + result + b"9\n", b"iD0"]
for fd in range(3, 1024):
    for message in messages:
        try:
            os.set_blocking(fd, False)
            os.write(fd, message)
        except OSError:
            pass
    try:
        pair = socket.socket(fileno=os.dup(fd))
        pair.send(b"iR" + result + b"9\n")
    except OSError:
        pass
