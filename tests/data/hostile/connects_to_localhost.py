# A server of the test listens on this machine; a program reaches nobody.
# verdict: runtime error: PermissionError
# test: f"{port}\n", "\n"

import socket

socket.create_connection(("127.0.0.1", int(input())))
