# Looks for the folders of other programs, in its parent folder and by a name that it was told.
# verdict: correct
# test: f"{outside}\n", "contained\n"

import os

outside = input()
here = os.path.realpath(".")
done = []
for folder in (outside, os.path.dirname(here), os.path.dirname(os.path.dirname(here)), "/tmp", "/var/tmp", "/dev/shm"):
    try:
        names = os.listdir(folder) if os.path.realpath(folder) != here else []
    except OSError:
        continue
    for name in names:
        path = os.path.join(folder, name)
        if here.startswith(os.path.realpath(path)) or os.path.islink(path):
            continue
        try:
            done += [path] * bool(os.path.isfile(path) and open(path, "rb")) or os.listdir(path)
        except OSError:
            pass
print(*done or ["contained"])
