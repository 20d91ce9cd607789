"""The same script as check_converted_samples.py at the top level, under the path that the paper's users know."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    runpy.run_path(str(ROOT / "check_converted_samples.py"), run_name="__main__")
