# Tries sockets of every family and kind: all are refused, so nothing can be reached.
# verdict: correct
# test: f"{port} {udp_port} {socket_path}\n", "contained\n"

import ctypes
import socket

port, udp_port, path = input().split()
done = []
families = {name: getattr(socket, name) for name in dir(socket) if name.startswith("AF_")}
for name, family in families.items():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind, 0).close()
            done.append((name, kind))
        except OSError:
            pass
for attack in (
    lambda: socket.create_connection(("127.0.0.1", int(port)), 1),
    lambda: socket.create_connection(("::1", int(port)), 1),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", int(udp_port))),
    lambda: socket.socket(socket.AF_UNIX).connect(path),
    lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"hello", path),
    lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].connect(path),
    lambda: socket.create_server(("127.0.0.1", 0)),
):
    try:
        attack()
        done.append("reached")
    except OSError:
        pass
if ctypes.CDLL(None).socket(2, 1, 0) != -1:
    done.append("socket")
print(*done or ["contained"])
