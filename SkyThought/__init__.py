"""The judge: runs the program of an answer on its problem's tests (after SkyThought's TACO task handler)."""
