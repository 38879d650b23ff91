"""The losses and gradient norms of steps, kept on the device and read some steps later: a step waits for nothing."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from inducer_bench.errors import TrainingDiverged
from inducer_bench.training.checkpoint import Progress


class Watch:
    """What the steps since the last `read` left on the device; any shape will do, such as (N,) for N models at once."""

    def __init__(self) -> None:
        self._steps: list[Tensor] = []

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Keep copies of a step's loss and gradient norm."""
        self._steps.append(torch.stack((loss, norm)))

    def read(self) -> Tensor:
        """The loss and norm of each step, (n, 2, ...), on the CPU; the only wait for a GPU in a loop of steps."""
        steps, self._steps = self._steps, []
        return torch.stack(steps).cpu() if steps else torch.empty(0, 2)


def account(progress: Progress, steps: Sequence[Sequence[float]], method: str) -> None:
    """Add the losses of the last steps to those of the logging interval.

    Args:
        progress: `step` is the last one of `steps`.
        steps: loss and gradient norm of each.
        method: its name, for the message.

    Raises:
        TrainingDiverged: one of them is not finite; the message names the first step of which that is true.
    """
    for step, (loss, norm) in enumerate(steps, start=progress.step - len(steps) + 1):
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingDiverged(
                f"{method}, epoch {progress.epoch + 1}, step {step}: loss {loss:.4g}, gradient norm {norm:.4g}; "
                "lower trainer.lr or raise trainer.warmup"
            )
        progress.interval_loss += loss
