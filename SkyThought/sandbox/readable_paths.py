"""What a program may read of the machine."""

import os
import site
import sys
import sysconfig
from pathlib import Path

DEVICES = ("null", "zero", "full", "random", "urandom")  # of /dev, which it may also write to


def readable_paths() -> list[Path]:
    """Python, its packages, the machine's libraries and time zones; paths that exist."""
    known = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    known |= {str(Path(prefix, "lib")) for prefix in (sys.prefix, sys.base_prefix)}
    known |= {"/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"}
    known |= {"/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"}
    known |= set(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
    if site.ENABLE_USER_SITE:
        known.add(site.getusersitepackages())
    found = sorted({Path(path).resolve() for path in known if Path(path).exists()})
    named = sorted({Path(path) for path in known if Path(path).exists()})
    kept = [path for path in found if not any(other in path.parents for other in found)]
    return kept + [path for path in named if path not in found and not any(other in path.parents for other in kept)]
