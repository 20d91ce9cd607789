"""Names that competitive programmers leave unimported, available to programs that do not define them.

They go into `builtins`, so a program's own names and imports take precedence, as do Python's builtins, and the
program's text, line numbers and globals stay unchanged. (LeetCode and most other call-based judges also import such
names.)

The most common modules are imported beforehand, in two sizes. The small prelude leaves out what would cost every child
time: numpy's pages, and the work that `random` and `threading` do after a fork. A program whose text names any of these
runs with the large one, so no program can tell the difference.
"""

import builtins
import importlib
import re
import sys

MODULES = "bisect collections copy functools heapq io itertools math operator os re string sys time typing"
OFTEN_IMPORTED = "__future__ abc array atexit contextlib enum os.path types"
MORE_MODULES = "cmath datetime decimal fractions json numpy random statistics"
MORE_OFTEN_IMPORTED = "dataclasses queue threading traceback numpy.random"
NAMES = {
    "bisect": "bisect_left bisect_right insort insort_left insort_right",
    "collections": "ChainMap Counter OrderedDict defaultdict deque namedtuple",
    "copy": "deepcopy",
    "functools": "cache cached_property cmp_to_key lru_cache partial reduce",
    "heapq": "heapify heappop heappush heappushpop heapreplace nlargest nsmallest",
    "io": "BytesIO StringIO",
    "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle "
    "dropwhile groupby islice pairwise permutations product repeat starmap takewhile "
    "zip_longest",
    "math": "acos asin atan atan2 ceil comb cos degrees exp factorial floor gcd hypot inf "
    "isqrt lcm log log10 log2 perm pi prod radians sin sqrt tan",
    "operator": "add and_ attrgetter itemgetter mul or_ sub xor",
    "string": "ascii_letters ascii_lowercase ascii_uppercase",
    "typing": "Any Callable DefaultDict Deque Dict FrozenSet Generator Generic Iterable "
    "Iterator List NamedTuple Optional Sequence Set Tuple Type TypeVar Union",
}
MORE_NAMES = {"decimal": "Decimal", "fractions": "Fraction", "random": "randint"}
_MORE = [*MORE_MODULES.split(), *MORE_NAMES.values(), "np", "scipy", "pandas", "sympy", "queue", "traceback", "logging"]
_WANTS_MORE = re.compile(
    rf"\b(?:{'|'.join(_MORE)})\b"
    r"|asyncio|dataclass|thread|concurrent|tempfile|eval|exec|__import__|import_module|builtins"
)
REHEARSAL = """
import sys
from collections import Counter, defaultdict, deque
from heapq import heappush, heappop
class Point:
    def __init__(self, x, y=0): self.x, self.y = x, y
    def __lt__(self, other): return self.x < other.x
def main():
    n, text = map(int, input().split()), input().strip()
    first, second = n
    rows = [list(map(int, line.split())) for line in sys.stdin.read().splitlines() if line]
    best, seen, queue, near = 0, set(), deque([(0, 0)]), defaultdict(list)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            near[i].append((j, value)); best = max(best, value * 2 // 3 % 7)
            if value not in seen: seen.add(value)
    while queue:
        i, j = queue.popleft()
        if i < 3: queue.append((i + 1, j))
    heap = []
    for value in sorted(seen, key=lambda value: -value): heappush(heap, (value, Point(value)))
    count = Counter(text)
    try: {}[1]
    except KeyError: pass
    print(first, second, heappop(heap)[0], best, *[count[c] for c in sorted(set(text))])
    print("%d %.6f" % (1, 2.5), f"{best:>3}", "YES" if best > 1 else "NO", sep=" ")
    print("\\n".join(" ".join(str(x) for x in row) for row in rows))
if __name__ == "__main__": main()
"""
REHEARSAL_INPUT = b"3 4\nabcab\n1 2 3\n4 5 6\n"


def wants_more(source: str) -> bool:
    """Whether a program may use a name of the large prelude."""
    return _WANTS_MORE.search(source) is not None


def install(large: bool, plain: bool = False) -> None:
    """Import the modules, and put the names into `builtins` where it has none of that name.

    plain: no names, and programs can import only the standard library and numpy, even if more is installed.
    """
    modules = {name: importlib.import_module(name) for name in (MODULES + large * f" {MORE_MODULES}").split()}
    for name in (OFTEN_IMPORTED + large * f" {MORE_OFTEN_IMPORTED}").split():
        importlib.import_module(name)
    if plain:
        sys.meta_path.insert(0, OnlyStandardModules)
        return
    if large:
        modules["np"] = modules["numpy"]
    members = NAMES | MORE_NAMES if large else NAMES
    names = {name: getattr(modules[module], name) for module, text in members.items() for name in text.split()}
    for name, value in (modules | names).items():  # a name in both means the module's member
        if not hasattr(builtins, name):
            setattr(builtins, name, value)


class OnlyStandardModules:
    """An importer that finds nothing, and refuses everything outside the standard library and numpy."""

    allowed = sys.stdlib_module_names | {"numpy"}

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError for other packages."""
        if name.partition(".")[0] not in cls.allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
