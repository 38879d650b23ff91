"""The machine: its versions, whether every module can be imported, and the floors that times are compared with.

    python -m scripts.gpu.environment [--device cuda]

Of the floors, `host microseconds a launch` decides the time of small steps, `TFLOP/s` and `TB/s` that of large ones.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence

import torch

import inducer_bench
from inducer_bench.runs.provenance import versions
from scripts.bench import harness

LAUNCHES = 2_000
EXTRAS = {"tensorboard", "trackio"}  # imported by modules of their own
GIB = 2**30


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each fact."""
    args = harness.parser(__doc__).parse_args(arguments)
    device: torch.device = args.device
    if device.type == "cuda":
        assert torch.cuda.is_available(), "torch sees no CUDA device"
    facts: dict[str, object] = {"python": sys.version.split()[0], "modules imported": import_all(), **versions()}
    facts |= {"torch": torch.__version__, "CUDA of torch": torch.version.cuda}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {"compute capability": f"{properties.major}.{properties.minor}",
                  "memory, GiB": properties.total_memory / GIB}  # fmt: skip
    facts |= floors(device, args.mini)
    rows = [{"what": what, "value": value} for what, value in facts.items()]
    harness.publish("environment", rows, device, "Versions and floors.", args.out)


def import_all() -> int:
    """Import every module of the package, but for those of extras that are not there; their number."""
    names = [module.name for module in pkgutil.walk_packages(inducer_bench.__path__, "inducer_bench.")]
    for name in names:
        if not name.endswith("__main__"):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name not in EXTRAS:
                    raise
    return len(names)


def floors(device: torch.device, small: bool) -> dict[str, object]:
    """Time of a launch on host and device, of a product in bf16, and of a copy."""
    size, length = (256, 2**20) if small else (8192, 2**30)
    tiny = torch.zeros(1, device=device)
    left, right = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    source = torch.empty(length, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def launches() -> None:
        for _ in range(LAUNCHES):
            tiny.add_(1)

    product = seconds(lambda: left @ right, device)
    copy = seconds(lambda: target.copy_(source), device)
    found: dict[str, object] = {
        "host microseconds a launch": seconds(launches, device) / LAUNCHES * 1e6,
        "TFLOP/s in bf16": 2 * size**3 / product / 1e12,
        "TB/s of a copy": 2 * length / copy / 1e12,
    }
    if device.type == "cuda":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            launches()
        found["device microseconds a launch in a graph"] = seconds(graph.replay, device) / LAUNCHES * 1e6
    return found


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Median of five runs after one that is not timed."""
    return harness.median(harness.alternate({"it": call}, rounds=5, device=device)["it"])


if __name__ == "__main__":
    main()
