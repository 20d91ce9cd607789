"""Names competitive programmers leave unimported, found by a program that does not define them itself.

They go into `builtins`, behind everything a program defines or imports and behind Python's own names, so they
change no program that has its own: its text, its line numbers and its globals stay as they are. (LeetCode and
most other call-based judges import such names for the programs they are given.)
"""

import builtins
import importlib

MODULES = (
    "bisect cmath collections copy datetime decimal fractions functools heapq io itertools json "
    "math operator os random re statistics string sys time typing"
)
NAMES = {
    "bisect": "bisect_left bisect_right insort insort_left insort_right",
    "collections": "ChainMap Counter OrderedDict defaultdict deque namedtuple",
    "copy": "deepcopy",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "cache cached_property cmp_to_key lru_cache partial reduce",
    "heapq": "heapify heappop heappush heappushpop heapreplace nlargest nsmallest",
    "io": "BytesIO StringIO",
    "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle "
    "dropwhile groupby islice pairwise permutations product repeat starmap takewhile "
    "zip_longest",
    "math": "acos asin atan atan2 ceil comb cos degrees exp factorial floor gcd hypot inf "
    "isqrt lcm log log10 log2 perm pi prod radians sin sqrt tan",
    "operator": "add and_ attrgetter itemgetter mul or_ sub xor",
    "random": "randint",
    "string": "ascii_letters ascii_lowercase ascii_uppercase",
    "typing": "Any Callable DefaultDict Deque Dict FrozenSet Generator Generic Iterable "
    "Iterator List NamedTuple Optional Sequence Set Tuple Type TypeVar Union",
}


def install() -> None:
    """Import numpy and the modules, and put the names into `builtins` where it has none of that name."""
    modules = {name: importlib.import_module(name) for name in MODULES.split()}
    modules["numpy"] = modules["np"] = importlib.import_module("numpy")
    importlib.import_module("numpy.random")  # numpy itself imports it only when it is first used
    names = {name: getattr(modules[module], name) for module, text in NAMES.items() for name in text.split()}
    for name, value in (modules | names).items():  # a name of both kinds means the module's member
        if not hasattr(builtins, name):
            setattr(builtins, name, value)
