# Many threads, within the limit.
# verdict: correct
# limits: timeout=4, memory_mb=4096
# test: "3\n", "9 201\n"

import threading

ready, done = threading.Semaphore(0), threading.Event()


def work():
    ready.release()
    done.wait()


for _ in range(200):
    threading.Thread(target=work, daemon=True).start()
for _ in range(200):
    ready.acquire()
print(int(input()) ** 2, threading.active_count())
done.set()
