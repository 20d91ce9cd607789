# Tries to leave files in every place: the repository, temporary folders, the home directory, Python's own folders.
# verdict: correct
# test: f"{repository}\n{outside}\n", "contained\n"

import os
import sys

repository, outside = input(), input()
name = "left_by_a_hostile_program"
folders = [repository, f"{repository}/lab", f"{repository}/tests", outside, f"{outside}/.ssh", "/", "/tmp", "/var/tmp"]
folders += ["/dev/shm", "/dev", "/run", "/etc", "/home", "/root", "/usr/local/bin", "/proc", "/sys", ".."]
folders += [os.path.dirname(os.__file__), sys.prefix, *[path for path in sys.path if "packages" in path]]
here = os.path.realpath(".")
done = []
for folder in folders:
    if os.path.realpath(folder) == here:
        continue
    ways = {
        "write": lambda path: open(path, "w").close(),
        "folder": lambda path: os.mkdir(f"{path}_folder"),
        "link": lambda path: os.symlink("/etc/passwd", f"{path}_link"),
        "pipe": lambda path: os.mkfifo(f"{path}_pipe"),
        "rename": lambda path: os.rename(__file__, path),
        "hard link": lambda path: os.link(__file__, f"{path}_hard_link"),
    }
    for way, action in ways.items():
        try:
            action(os.path.join(folder, name))
            done.append((way, folder))
        except OSError:
            pass
print(*done or ["contained"])
