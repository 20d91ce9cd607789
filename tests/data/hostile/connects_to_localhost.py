# Tries to reach a server of the test on this machine.
# verdict: runtime error: PermissionError
# test: f"{port}\n", "\n"

import socket

socket.create_connection(("127.0.0.1", int(input())))
