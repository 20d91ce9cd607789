"""Chooses where programs are judged: on this machine or on a Ray cluster."""

import os

from hindsight.errors import require
from SkyThought.judges import JudgeOptions, Judges
from SkyThought.local_judges import LocalJudges


def open_judges(options: JudgeOptions, workers: int, ray_address: str) -> Judges:
    """The judges that the settings WORKERS and RAY_ADDRESS ask for; the caller closes them.

    workers: programs at once, 0 for one per core; ray_address: empty for this machine. Raises UserError when the
    programs cannot be contained, or the cluster cannot be reached.
    """
    require(workers >= 0, "WORKERS is 0, for one per core, or more")
    if not ray_address:
        return LocalJudges(workers or len(os.sched_getaffinity(0)), options)
    require(workers == 0, "WORKERS is for this machine alone; a Ray cluster uses all CPUs of its nodes")
    from SkyThought.ray_judges import RayJudges  # Ray is optional

    return RayJudges(ray_address, options)
