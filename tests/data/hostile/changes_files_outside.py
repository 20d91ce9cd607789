# Tries to truncate, remove, rename and append to files outside, and to change their times and permissions.
# verdict: correct
# test: f"{outside}\n", "contained\n"

import os
import sys

outside = input()
done = []
for path in (f"{outside}/secret.txt", f"{outside}/.ssh", os.__file__, sys.executable, "/etc/passwd", "/dev/null", "/tmp"):
    ways = {
        "truncate": lambda path: path != "/dev/null" and os.truncate(path, 0),
        "append": lambda path: path != "/dev/null" and open(path, "a").close(),
        "remove": os.remove,
        "remove folder": os.rmdir,
        "rename": lambda path: os.rename(path, f"{path}_left_by_a_hostile_program"),
        "steal": lambda path: os.rename(path, "stolen"),
        "rights": lambda path: os.chmod(path, 0o700),
        "owner": lambda path: os.chown(path, 1, 1),
        "times": lambda path: os.utime(path, (1, 1)),
        "attribute": lambda path: os.setxattr(path, "user.hostile", b"1"),
    }
    for way, action in ways.items():
        try:
            if action(path) is not False:
                done.append((way, path))
        except OSError:
            pass
print(*done or ["contained"])
