# Tries the usual ways to reach the network.
# verdict: correct
# test: f"{port}\n", "contained\n"

import asyncio
import http.client
import urllib.request

port = int(input())
done = []


async def connect():
    await asyncio.open_connection("127.0.0.1", port)


for name, ask in {
    "urllib": lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1),
    "http": lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=1).request("GET", "/"),
    "asyncio": lambda: asyncio.run(connect()),
}.items():
    try:
        ask()
        done.append(name)
    except OSError:
        pass
print(*done or ["contained"])
