# Gathers coroutines.
# verdict: correct
# test: "3\n", "9 4\n"

import asyncio


async def square(n):
    await asyncio.sleep(0.001)
    return n * n


async def main():
    print(*await asyncio.gather(square(int(input())), square(2)))


asyncio.run(main())
