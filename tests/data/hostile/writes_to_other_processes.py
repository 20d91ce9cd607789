# Tries to change other processes through the writable files in /proc.
# verdict: correct
# test: f"{canary}\n", "contained\n"

import os

done = []
for pid in (os.getppid(), int(input()), 1):
    for name, text in {"oom_score_adj": "1000", "comm": "hacked", "clear_refs": "1", "coredump_filter": "0"}.items():
        try:
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write(text)
            done.append((pid, name))
        except OSError:
            pass
for path, text in {
    "/proc/sys/kernel/core_pattern": "core",
    "/proc/sys/kernel/hostname": "hostile",
    "/proc/sysrq-trigger": "",
    "/sys/kernel/mm/transparent_hugepage/enabled": "never",
    "/proc/self/uid_map": "0 0 1",
    "/sys/fs/cgroup/cgroup.procs": "0",
}.items():
    try:
        open(path, "w").close()
        done.append(path)
    except OSError:
        pass
print(*done or ["contained"])
