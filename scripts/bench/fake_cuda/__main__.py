"""Answer the requests of stdin, a JSON list, on stdout, a line each; `process.run` starts this.

python -m scripts.bench.fake_cuda GUARD < requests.json
"""

import ctypes
import json
import sys
from dataclasses import asdict

ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)  # before torch, which asks only once for its devices

from scripts.bench.fake_cuda import scenes, stand_ins  # noqa: E402
from scripts.bench.fake_cuda.process import Request  # noqa: E402

stand_ins.install()
for values in json.load(sys.stdin):
    lists = {name: tuple(values[name]) for name in ("scenes", "overrides")}
    for answer in scenes.answers(Request(**{**values, **lists})):
        print(json.dumps(asdict(answer)), flush=True)
