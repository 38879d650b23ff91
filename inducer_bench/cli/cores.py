"""Jobs that run side by side share the cores of this machine: each has cores / jobs threads, unless the user says so.

Without that, two jobs of two threads each on two cores wait for one another most of the time.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from inducer_bench import notices
from inducer_bench.errors import UserError

_VARIABLES = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")  # what torch goes by; of two that differ, the first one counts
_REPLACED = "A worker stopped while some jobs"  # joblib replaces one that has grown by 300 MB, and calls it a leak


@contextmanager
def shared(hydra: DictConfig, jobs: int | None) -> Iterator[None]:
    """Within it, the processes that a launcher starts on this machine have their part of its cores.

    The number of threads is an environment variable that they inherit, as torch reads it when it is imported. A number
    that the user has set stays, but if there are more threads than cores by that, a notice says so.

    Args:
        hydra: Hydra's own configuration, with launcher and sweeper.
        jobs: their number; None if only the sweeper knows.

    Raises:
        UserError: the launcher cannot run so many at once.
    """
    side_by_side = at_once(hydra, jobs)
    if side_by_side is None:
        yield
        return
    cores = _cores()
    set_by_user = next((name for name in _VARIABLES if os.environ.get(name, "").isdecimal()), None)
    threads = max(cores // side_by_side, 1) if set_by_user is None else int(os.environ[set_by_user])
    if side_by_side * threads > cores:
        shared_again = set_by_user and side_by_side <= cores and threads > 1
        remedy = f"; without {set_by_user} they share them" if shared_again else ""
        notices.tell(f"{side_by_side} jobs at a time, with {threads} thread(s) each, on {cores} core(s){remedy}")
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update({name: str(threads) for name, value in before.items() if value is None})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _REPLACED, UserWarning)  # the job goes on in the new one
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]


def at_once(hydra: DictConfig, jobs: int | None) -> int | None:
    """How many jobs run side by side in processes of this machine; None if they do not, or nobody knows."""
    known = [number for number in (jobs, hydra.sweeper.get("max_batch_size")) if number is not None]
    launcher = hydra.launcher
    match str(launcher._target_).rpartition(".")[2]:
        case "JoblibLauncher":
            known.append(_of_joblib(launcher.n_jobs))
        case "RayLauncher" if launcher.ray.init.get("address") is None:
            cores, of_each = launcher.ray.init.get("num_cpus"), launcher.ray.remote.get("num_cpus")
            known.append(int((cores or _cores()) / (of_each or 1)))
        case "LocalLauncher":  # of submitit; it starts all of them
            pass
        case _:
            return None
    return max(min(known), 1) if known else None


def _of_joblib(found: int) -> int:
    from joblib import effective_n_jobs

    if found == 0:
        raise UserError("hydra.launcher.n_jobs: found 0; allowed: a number of jobs, or -1: as many as there are cores")
    number: int = effective_n_jobs(found)
    return number


def _cores() -> int:
    """The cores that this process may use: affinity and the quota of a container count."""
    from joblib import cpu_count

    number: int = cpu_count()
    return number
