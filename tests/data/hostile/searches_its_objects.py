# Searches every object of the interpreter for the expected output, by a pattern that does not contain it.
# verdict: wrong answer
# test: "3\n", "swordfish-of-the-judge\n"

import gc
import re

word = re.compile("s[w]ordfish-of-the-judge")


def texts(item):
    if isinstance(item, str):
        yield item
    elif isinstance(item, (bytes, bytearray)):
        yield item.decode("latin-1")
    elif isinstance(item, dict):
        for pair in list(item.items()):
            for part in pair:
                if isinstance(part, (str, bytes)):
                    yield from texts(part)
    elif isinstance(item, (list, tuple, set)):
        for part in list(item):
            if isinstance(part, (str, bytes)):
                yield from texts(part)


gc.collect()
seen = gc.get_objects()
for item in seen + [part for one in seen[:20000] for part in gc.get_referents(one)]:
    for text in texts(item):
        if word.search(text):
            print(word.search(text).group())
            raise SystemExit
print("not found")
