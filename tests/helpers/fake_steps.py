"""Where the host waits in the step of `scripts.gpu.graphs`, on fake CUDA tensors: a line of JSON for each method.

python tests/helpers/fake_steps.py GUARD METHOD...
"""

import ctypes
import json
import sys

ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)  # before torch, which asks only once for its devices

import torch  # noqa: E402

from scripts.bench.fake_cuda import scenes, stand_ins  # noqa: E402
from scripts.bench.fake_cuda.counts import Counts  # noqa: E402
from scripts.bench.fake_cuda.device import FakeCuda  # noqa: E402
from scripts.bench.fake_cuda.process import Request  # noqa: E402
from scripts.gpu.graphs import Step, random_batches  # noqa: E402

stand_ins.install()
lacking = torch.library.Library("aten", "IMPL", "Meta")  # torch knows no shapes of an update with a tensor as its rate
lacking.impl("_fused_adamw_.tensor_lr", lambda *args, **kwargs: None)
for method in sys.argv[2:]:
    for family in ("nlu", "nlg"):
        counts = Counts()
        with FakeCuda(counts):
            config, experiment = scenes.build(Request(family, method, layers=1), counts)
            step = Step(config, experiment.tuned.train())
            first, second = random_batches(step, 4, 24, 2)
            step(first)
            counts.clear()
            counts.phase = "step"
            step(second)
        launches, waits = (
            {phase: dict(found) for phase, found in of.items()} for of in (counts.launches, counts.waits)
        )
        print(json.dumps({"family": family, "method": method, "launches": launches, "waits": waits}), flush=True)
