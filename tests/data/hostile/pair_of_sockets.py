# A pair of connected sockets reaches nobody else, and some programs need one.
# verdict: correct
# test: "3\n", "9\n"

import socket

left, right = socket.socketpair()
left.sendall(str(int(input()) ** 2).encode())
print(right.recv(100).decode())
