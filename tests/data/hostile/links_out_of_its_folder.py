# Reads and writes outside through symbolic and hard links, and leaves the links for the cleanup.
# verdict: correct
# test: f"{outside}\n", "contained\n"
# test: f"{outside}\n", "contained\n"

import os

outside = input()
done = []
targets = {"secret": f"{outside}/secret.txt", "folder": outside, "passwd": "/etc/passwd", "root": "/", "up": "../../.."}
for name, target in targets.items():
    for way in (os.symlink, os.link):
        try:
            way(target, f"{name}_{way.__name__}")
        except OSError:
            pass
for name in os.listdir():
    if name == os.path.basename(__file__):
        continue
    for attack in (
        lambda name: open(name).read(),
        lambda name: open(name, "a").close(),
        lambda name: open(f"{name}/secret.txt").read(),
        lambda name: open(f"{name}/left_by_a_hostile_program", "w").close(),
        lambda name: open(f"{name}/etc/passwd").read(),
    ):
        try:
            attack(name)
            done.append(name)
        except OSError:
            pass
    if os.path.islink(name) and name.startswith("folder"):
        try:
            done += os.listdir(name)
        except OSError:
            pass
print(*done or ["contained"])
