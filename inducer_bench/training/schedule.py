"""The learning rate of each step, as a function of the step alone: a resumed run needs no state of a schedule.

`linear` and `constant` are computed here: their warm-up takes its first step at lr / (warmup + 1). All others are those
of `transformers.get_scheduler`, to the bit; their warm-up takes its first step at a learning rate of 0.
"""

import math
from collections.abc import Callable

import torch
from transformers import get_scheduler

from inducer_bench.training.options import TrainerOptions


def learning_rates(config: TrainerOptions, total_steps: int) -> Callable[[int], float]:
    """Step, counted from 0 -> its learning rate.

    Args:
        config: its `lr`, `schedule`, `schedule_args` and `warmup`.
        total_steps: of the whole run.
    """
    warmup = config.warmup * total_steps if config.warmup < 1 else config.warmup
    if config.schedule not in ("linear", "constant"):
        return _of_transformers(config, math.ceil(warmup), total_steps)

    def rate(step: int) -> float:
        if step < warmup:
            return config.lr * (step + 1) / (warmup + 1)
        if config.schedule == "constant":
            return config.lr
        return config.lr * max(0.0, (total_steps - step) / max(1.0, total_steps - warmup))

    return rate


def _of_transformers(config: TrainerOptions, warmup: int, total_steps: int) -> Callable[[int], float]:
    """A schedule of transformers, whose factors depend on the step alone; the optimizer here is only a place for it."""
    place = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.lr)
    steps: int | None = max(1, total_steps)  # of a run without a step, some schedules would divide by 0
    if "num_stable_steps" in config.schedule_args:
        steps = None  # transformers warns of both
    (factor,) = get_scheduler(config.schedule, place, warmup, steps, dict(config.schedule_args)).lr_lambdas
    return lambda step: config.lr * float(factor(step))
