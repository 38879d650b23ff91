"""What a run would take by some of its steps."""

from dataclasses import dataclass

from inducer_bench.runs.record import Device, Parameters


@dataclass(frozen=True)
class Timing:
    """The result of `runs.timed`."""

    train_seconds: float
    eval_seconds: float
    examples: dict[str, int]  # of train, of the selection set, and of each reported split
    device: Device
    precision: str
    parameters: Parameters
    trained: int
    loss: float  # of the first step, on the longest batch
    step_seconds: float  # of a step on average
    longest_seconds: float  # of one on the longest batch
    memory: int | None  # bytes, at its peak; see `peak_memory_bytes` in records
