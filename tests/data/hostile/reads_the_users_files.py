# Reads passwords, keys, and the home directory, whose path it was told.
# verdict: correct
# test: f"{outside}\n", "contained\n"

import glob
import os

home = input()
administrator = os.path.join("/", "root")
done = []
for path in (
    "/etc/passwd",
    "/etc/shadow",
    "/etc/hostname",
    os.path.join(administrator, ".bashrc"),
    os.path.join(administrator, ".ssh", "id_rsa"),
    "/var/log/dpkg.log",
    "/boot",
    "/home",
    administrator,
    home,
    os.path.join(home, ".ssh", "id_rsa"),
    os.path.join(home, "secret.txt"),
    os.path.expanduser("~/.ssh/id_rsa"),
    os.path.expanduser("~root/.profile"),
):
    try:
        if os.path.isdir(path):
            done += [path] * bool(os.listdir(path))
        else:
            with open(path, "rb") as file:
                file.read(1)
            done.append(path)
    except OSError:
        pass
done += glob.glob(home + "/*") + glob.glob("/home/*/.*") + glob.glob(administrator + "/.*")
print(*done or ["contained"])
